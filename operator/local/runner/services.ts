/**
 * The endpoint controller, the service proxy and the load balancer: EndpointSlices from Pods (one per Pod, because here
 * every Pod has ports of its own), a forward per Service port, 127.0.0.1 as the load balancer's address.
 */
import { differs } from '../../kube/apply-if-changed.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { keyOf, Service as ServiceResource, EndpointSlice as SliceResource } from '../../kube/resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey, type Reflector } from '../../kube/types.ts'
import { type Forward, openForward } from './forward.ts'
import { isPodReady, matchesLabels, NODE_NAME, PORTS_ANNOTATION, type Pod, type Service } from './objects.ts'
import { PortTaken, type ServicePorts } from './service-ports.ts'

const MANAGER = 'local-runner'

export interface ServicesDeps {
  client: KubeClient
  logger: KubeLogger
  services: Reflector<Service>
  pods: Reflector<Pod>
  ports: ServicePorts
  /** Told in words when a forward cannot be opened. */
  onProblem: (message: string) => void
}

export interface Services {
  reconcile(key: ObjectKey): Promise<number | undefined>
  /** Service port name → local port, of the forwards that are open. */
  localPorts(key: ObjectKey): Record<string, number>
  stopListening(): void
  close(): Promise<void>
}

export function createServices(deps: ServicesDeps): Services {
  const { client, services, pods, ports, logger } = deps
  /** Service → port name → forward. */
  const forwards = new Map<string, Map<string, Forward>>()

  async function reconcile(key: ObjectKey): Promise<number | undefined> {
    const service = services.get(key)
    const selected =
      service?.spec.selector && !service.metadata.deletionTimestamp
        ? pods.list(key.namespace).filter((pod) => matchesLabels(pod, service.spec.selector))
        : []
    const slices = service ? selected.flatMap((pod) => sliceOf(service, pod) ?? []) : []
    // First the way of new connections, then what others read about it.
    const retry = await keepForwards(key, service, selected.filter(isPodReady))
    await keepSlices(key, slices)
    if (service?.spec.type === 'LoadBalancer' && service.status?.loadBalancer?.ingress?.[0]?.ip !== '127.0.0.1') {
      const status = { loadBalancer: { ingress: [{ ip: '127.0.0.1', ipMode: 'VIP' }] } }
      await client.mergePatch(ServiceResource, key, { status }, { subresource: 'status' })
    }
    return retry
  }

  async function keepForwards(key: ObjectKey, service: Service | undefined, ready: readonly Pod[]) {
    const name = keyText(key)
    const open = forwards.get(name) ?? new Map<string, Forward>()
    forwards.set(name, open)
    const wanted = new Map(
      (service?.spec.selector ? (service.spec.ports ?? []) : []).map((port) => [portName(port), port]),
    )
    for (const [port, forward] of open) {
      if (wanted.has(port)) continue
      open.delete(port)
      await forward.close()
    }
    let retry: number | undefined
    for (const [port, spec] of wanted) {
      const targets = ready.flatMap((pod) => podPort(pod, spec.targetPort ?? spec.port) ?? [])
      const forward = open.get(port) ?? (await tryOpen(`${name}:${spec.port}`, spec.port))
      if (forward) {
        open.set(port, forward)
        forward.setTargets(targets)
      } else retry = 5_000
    }
    if (open.size === 0) forwards.delete(name)
    return retry
  }

  async function tryOpen(id: string, servicePort: number): Promise<Forward | undefined> {
    try {
      const forward = await openForward(await ports.portFor(id, servicePort))
      ports.opened(id, forward.port)
      logger.info({ service: id, port: forward.port }, 'forward open')
      return forward
    } catch (error) {
      if (error instanceof PortTaken) deps.onProblem(`${id}: ${error.message}`)
      else ports.forget(id) // taken in this very moment: choose another next time
      logger.warn({ err: error, service: id }, 'forward not open')
      return undefined
    }
  }

  async function keepSlices(key: ObjectKey, wanted: readonly KubeObject[]): Promise<void> {
    const { items } = await client.list(SliceResource, {
      namespace: key.namespace,
      labelSelector: `kubernetes.io/service-name=${key.name},endpointslice.kubernetes.io/managed-by=${MANAGER}`,
    })
    for (const slice of wanted) {
      const live = items.find(({ metadata }) => metadata.name === slice.metadata.name)
      if (!live || differs(slice, live)) await client.apply(SliceResource, slice, { fieldManager: MANAGER })
    }
    for (const live of items) {
      if (!wanted.some(({ metadata }) => metadata.name === live.metadata.name)) {
        await client.delete(SliceResource, keyOf(live))
      }
    }
  }

  return {
    reconcile,
    localPorts(key) {
      const open = forwards.get(keyText(key)) ?? new Map<string, Forward>()
      return Object.fromEntries([...open].map(([name, { port }]) => [name, port]))
    },
    stopListening() {
      for (const open of forwards.values()) for (const forward of open.values()) forward.stopListening()
    },
    async close() {
      await Promise.all([...forwards.values()].flatMap((open) => [...open.values()]).map((forward) => forward.close()))
      forwards.clear()
    },
  }
}

function portName(port: { name?: string; port: number }): string {
  return port.name ?? String(port.port)
}

/** Where a Pod's named (or numbered) container port is on 127.0.0.1; undefined before its process runs. */
export function podPort(pod: Pod, target: number | string): number | undefined {
  const named = pod.spec.containers
    .flatMap(({ ports }) => ports ?? [])
    .find(({ name, containerPort }) => name === target || containerPort === target)
  const port = named && portsOf(pod)[named.name ?? String(named.containerPort)]
  return Number.isInteger(port) ? port : undefined
}

/** The annotation is ours, but anybody may have edited it. */
function portsOf(pod: Pod): Record<string, number> {
  try {
    return JSON.parse(pod.metadata.annotations?.[PORTS_ANNOTATION] ?? '{}') ?? {}
  } catch {
    return {}
  }
}

function sliceOf(service: Service, pod: Pod): KubeObject | undefined {
  const ports = (service.spec.ports ?? []).flatMap((port) => {
    const local = podPort(pod, port.targetPort ?? port.port)
    return local === undefined ? [] : [{ name: port.name ?? '', port: local, protocol: port.protocol ?? 'TCP' }]
  })
  if (ports.length === 0) return undefined
  const ready = isPodReady(pod)
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const namespace = service.metadata.namespace ?? ''
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service.metadata.name}-${pod.metadata.name}`.slice(0, 253),
      namespace,
      labels: {
        'kubernetes.io/service-name': service.metadata.name,
        'endpointslice.kubernetes.io/managed-by': MANAGER,
      },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service.metadata.name,
          uid: service.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: 'IPv4',
    endpoints: [
      {
        addresses: ['127.0.0.1'],
        conditions: { ready, serving: ready, terminating },
        nodeName: NODE_NAME,
        targetRef: { kind: 'Pod', name: pod.metadata.name, namespace, uid: pod.metadata.uid ?? '' },
      },
    ],
    ports,
  }
}
