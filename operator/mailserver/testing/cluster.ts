/**
 * For tests: a Kubernetes API with our kinds (the local one, or a real one when KUBECONFIG_UNDER_TEST names it), a
 * namespace of its own, and somebody who plays what is not there: kubelet, CloudNativePG, load balancer.
 */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { customResourceDefinitions } from '../../api/crds.ts'
import { FINALIZER, MailAccountResource, MailServerResource, SERVER_LABEL } from '../../api/group.ts'
import type { MailServer } from '../../api/mail-server.ts'
import type { MailServerSpecInput } from '../../api/mail-server-spec.ts'
import { createKubeClient, type KubeApi } from '../../kube/client.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Controller } from '../../kube/controller.ts'
import { startReflector } from '../../kube/reflector.ts'
import {
  CustomResourceDefinition,
  Deployment,
  Job,
  keyOf,
  Namespace,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from '../../kube/resources.ts'
import type { KubeObject, ObjectKey, Resource } from '../../kube/types.ts'
import { startApiServer } from '../../local/apiserver/server.ts'
import { cnpgClusterCrd } from '../../local/runner/cnpg-crd.ts'
import { ownNamespaceRules, watchedNamespaceRules } from '../../rbac.ts'
import { type Listener, listening } from './quiet.ts'

export const ClusterResource: Resource = {
  group: 'postgresql.cnpg.io',
  version: 'v1',
  kind: 'Cluster',
  plural: 'clusters',
  namespaced: true,
}

export interface TestCluster {
  /** The test's own client; not counted, not fenced. */
  client: KubeApi
  namespace: string
  /** False on a real API server. */
  local: boolean
  /** Who the operator is: on an API server with RBAC it has exactly the rights that its roles will give it. */
  operatorConfig(): Promise<KubeConfig>
  /** A second client whose calls are told: what the operator runs with. */
  countingClient(): Promise<CountingClient>
  get(resource: Resource, name: string): Promise<KubeObject | undefined>
  apply(object: KubeObject): Promise<KubeObject>
  /** Of its own domain, unless the spec says otherwise, and with "mail." before it as host name. */
  mailServer(name: string, spec?: Partial<MailServerSpecInput>): Promise<KubeObject>
  /** One of which the engines of a server were told. */
  toldAccount(server: string): Promise<KubeObject>
  /** A domain is one server's only: the first that is asked for is "example.org", those of others "NAME.example.org". */
  domainOf(name: string): string
  /** Waits for a MailServer of which `is` holds. */
  until(name: string, is: (server: MailServer) => boolean, what: string): Promise<MailServer>
  /** Waits until `ask` answers something. */
  eventually<T>(ask: () => Promise<T | undefined | false>, what: string): Promise<T>
}

export interface CountingClient {
  client: KubeApi
  writes: string[]
  reads: string[]
  /**
   * Waits until the operator that runs with it has nothing to do: it has heard all that the API has to tell, as have those
   * who are played, and has acted on it. What it wishes to look at later is not waited for.
   */
  quiet(operator: { readonly controllers: readonly Controller[] }): Promise<void>
  /** Waits until the operator that runs with it has heard what there is of a kind. */
  heard(resource: Resource): Promise<void>
}

/** One per test file; ends with it. */
export async function openTestCluster(): Promise<TestCluster> {
  const path = process.env.KUBECONFIG_UNDER_TEST
  const server = path ? undefined : await startApiServer({})
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(path ? readFileSync(path, 'utf8') : (server?.kubeconfig ?? ''))
  const client = createKubeClient({ kubeConfig, userAgent: 'operator-test/1', qps: 1000, burst: 1000 })
  const others: KubeApi[] = []
  const namespace = `operator-test-${randomBytes(4).toString('hex')}`
  for (const crd of [...customResourceDefinitions(), cnpgClusterCrd]) {
    await client.apply(CustomResourceDefinition, crd, { fieldManager: 'operator-test' })
  }
  for (const [group, kind] of [
    [MailServerResource.group, MailServerResource.kind],
    ['postgresql.cnpg.io', 'Cluster'],
  ] as const) {
    await eventually(async () => {
      const fresh = createKubeClient({ kubeConfig, userAgent: 'operator-test/1' })
      const found = await fresh.discover(group, kind)
      await fresh[Symbol.asyncDispose]()
      return found
    }, `${kind} to be served`)
  }
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const players = listening(client)
  const stopPlaying = playTheRest(players.client, { namespace }, server !== undefined)

  after(async () => {
    await client.delete(Namespace, { namespace: '', name: namespace })
    await stopPlaying()
    for (const other of [client, ...others]) await other[Symbol.asyncDispose]()
    await server?.close()
  })

  let first: string | undefined
  const cluster: TestCluster = {
    client,
    namespace,
    local: server !== undefined,
    operatorConfig: async () => (path ? restricted(client, kubeConfig, namespace) : kubeConfig),
    async countingClient() {
      const own = await cluster.operatorConfig()
      const inner = createKubeClient({ kubeConfig: own, userAgent: 'mail-operator-test/1', qps: 1000, burst: 1000 })
      others.push(inner)
      const listener = listening(inner)
      const told = counting(listener.client)
      return {
        ...told,
        async quiet({ controllers }) {
          await eventually(() => isQuiet([listener, players], controllers, client), 'nothing to be on its way')
        },
        async heard(resource) {
          await eventually(() => listener.hasHeardAll(client, resource), `the news of ${resource.plural}`)
        },
      }
    },
    get: (resource, name) => client.find(resource, { namespace, name }),
    apply: (object) => client.apply(resourceOf(object), object, { fieldManager: 'operator-test' }),
    mailServer(name, spec = {}) {
      const domain = cluster.domainOf(name)
      return client.create(MailServerResource, {
        apiVersion: 'mail.openova.io/v1alpha1',
        kind: 'MailServer',
        metadata: { name, namespace },
        spec: { hostname: `mail.${domain}`, domains: [{ name: domain }], ...spec },
      })
    },
    toldAccount: (server) =>
      client.create(MailAccountResource, {
        apiVersion: 'mail.openova.io/v1alpha1',
        kind: 'MailAccount',
        metadata: { name: `${server}-someone`, namespace, finalizers: [FINALIZER] },
        spec: { serverRef: { name: server }, address: `someone@${cluster.domainOf(server)}` },
      }),
    domainOf(name) {
      first ??= name
      return name === first ? 'example.org' : `${name}.example.org`
    },
    until: (name, is, what) =>
      eventually(async () => {
        const found = await client.find<MailServer>(MailServerResource, { namespace, name })
        return found && is(found) ? found : undefined
      }, what),
    eventually,
  }
  return cluster
}

/** Credentials of a ServiceAccount that may do what rbac.ts says, in one namespace which is the operator's own too. */
async function restricted(client: KubeApi, admin: KubeConfig, namespace: string): Promise<KubeConfig> {
  const name = 'mail-operator'
  const rbac = (kind: string, plural: string): Resource => ({
    group: 'rbac.authorization.k8s.io',
    version: 'v1',
    kind,
    plural,
    namespaced: true,
  })
  const metadata = { name, namespace }
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const manager = { fieldManager: 'operator-test' }
  await client.apply(ServiceAccount, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, manager)
  await client.apply(
    rbac('Role', 'roles'),
    { apiVersion, kind: 'Role', metadata, rules: [...watchedNamespaceRules, ...ownNamespaceRules] },
    manager,
  )
  const subjects = [{ kind: 'ServiceAccount', name, namespace }]
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name }
  const binding = { apiVersion, kind: 'RoleBinding', metadata, subjects, roleRef }
  await client.apply(rbac('RoleBinding', 'rolebindings'), binding, manager)
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } }
  const { status } = (await client.raw('POST', path, request, 'application/json')) as { status: { token: string } }
  const { server = '', caData = '' } = admin.getCurrentCluster() ?? {}
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [{ name, server, ...(caData ? { caData } : { skipTLSVerify: true }) }],
    users: [{ name, token: status.token }],
    contexts: [{ name, cluster: name, user: name }],
    currentContext: name,
  })
  return config
}

export const isReady = (server: MailServer): boolean =>
  findCondition(server.status?.conditions, 'Ready')?.status === 'True' &&
  server.status?.observedGeneration === server.metadata.generation

export const reasonOf = (server: MailServer, type: string): string | undefined =>
  findCondition(server.status?.conditions, type)?.reason

async function eventually<T>(ask: () => Promise<T | undefined | false>, what: string): Promise<T> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await ask()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`never came: ${what}`)
    await sleep(30)
  }
}

/** Looks twice: what was heard in between may have led to more. */
async function isQuiet(
  listeners: readonly Listener[],
  controllers: readonly Controller[],
  api: KubeApi,
): Promise<boolean> {
  const isIdle = () =>
    listeners.every(({ underWay }) => underWay() === 0) &&
    controllers.every(({ queue }) => queue.size().ready + queue.size().running === 0)
  for (let look = 0; look < 2; look++) {
    await turn() // what is said at once is said by then
    if (!isIdle()) return false
    for (const listener of listeners) if (!(await listener.hasHeardAll(api))) return false
  }
  await turn()
  return isIdle()
}

function resourceOf(object: KubeObject): Resource {
  const known = [Secret, Service, Deployment, MailServerResource, ClusterResource]
  const found = known.find(({ kind }) => kind === object.kind)
  if (!found) throw new TypeError(`${object.kind} is not known to the tests`)
  return found
}

/** Notes "apply Secret stalwart-admin" for every call. */
function counting(inner: KubeApi): { client: KubeApi; writes: string[]; reads: string[] } {
  const writes: string[] = []
  const reads: string[] = []
  const named = (resource: Resource, object: { name?: string; metadata?: { name: string } }, sub?: string) =>
    `${resource.kind}${sub ? `/${sub}` : ''} ${object.name ?? object.metadata?.name}`
  const client: KubeApi = {
    ...inner,
    get: (resource, key) => {
      reads.push(`get ${named(resource, key)}`)
      return inner.get(resource, key)
    },
    find: (resource, key) => {
      reads.push(`find ${named(resource, key)}`)
      return inner.find(resource, key)
    },
    create: (resource, object) => {
      writes.push(`create ${named(resource, object)}`)
      return inner.create(resource, object)
    },
    replace: (resource, object, sub) => {
      writes.push(`replace ${named(resource, object, sub)}`)
      return inner.replace(resource, object, sub)
    },
    apply: (resource, object, options) => {
      writes.push(`apply ${named(resource, object, options.subresource)}`)
      return inner.apply(resource, object, options)
    },
    mergePatch: (resource, key, patch, options) => {
      writes.push(`patch ${named(resource, key, options?.subresource)}`)
      return inner.mergePatch(resource, key, patch, options)
    },
    delete: (resource, key, options) => {
      writes.push(`delete ${named(resource, key)}`)
      return inner.delete(resource, key, options)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  return { client, writes, reads }
}

/**
 * Pods become ready, databases healthy, load balancers get an address; those of a class with "absent" in it do not.
 * @param scope without a namespace everywhere
 */
export function playTheRest(client: KubeApi, scope: { namespace?: string }, local: boolean): () => Promise<void> {
  const status = (resource: Resource, key: ObjectKey, value: Record<string, unknown>) =>
    client.mergePatch(resource, key, { status: value }, { subresource: 'status' }).catch(() => {}) // gone by now
  const time = new Date().toISOString().replace(/\.\d{3}Z$/, 'Z')

  const clusters = startReflector(client, ClusterResource, scope)
  clusters.onChange(({ type, object }) => {
    const { name } = object.metadata
    if (type === 'deleted' || object.status || name.includes('unhealthy')) return
    const instances = (object.spec as { instances?: number }).instances ?? 1
    void (async () => {
      await client.apply(Secret, appSecret(object), { fieldManager: 'cnpg' })
      await client.apply(Secret, caSecret(object), { fieldManager: 'cnpg' })
      await status(ClusterResource, keyOf(object), {
        phase: 'Cluster in healthy state',
        instances,
        readyInstances: instances,
        currentPrimary: `${name}-1`,
        targetPrimary: `${name}-1`,
        conditions: [
          { type: 'Ready', status: 'True', reason: 'ClusterIsReady', message: '', lastTransitionTime: time },
        ],
      })
    })().catch(() => {})
  })

  const services = startReflector(client, Service, { ...scope, labelSelector: SERVER_LABEL })
  services.onChange(({ type, object }) => {
    const spec = object.spec as { type?: string; loadBalancerClass?: string }
    const { loadBalancer } = (object.status ?? {}) as { loadBalancer?: { ingress?: unknown[] } }
    if (type === 'deleted' || spec.type !== 'LoadBalancer' || loadBalancer?.ingress?.length) return
    if (spec.loadBalancerClass?.includes('absent')) return
    void status(Service, keyOf(object), { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } })
  })

  // A real controller-manager reads the Pods; where there is none, Deployments and Jobs are told at once.
  const workloads = local
    ? [playDeployments(client, scope, status), playJobs(client, scope, status, time)]
    : [playPods(client, scope, status, time)]
  return async () => {
    await Promise.all([clusters, services, ...workloads].map((reflector) => reflector.stop()))
  }
}

/** What a preflight of an image ends with; undefined: it never ends. */
function exitCodeOf(podSpec: { containers?: { image?: string }[] } | undefined): number | undefined {
  const image = podSpec?.containers?.[0]?.image ?? ''
  if (image.includes('absent')) return undefined
  return image.includes('old') ? 64 : 0
}

type StatusWriter = (resource: Resource, key: ObjectKey, value: Record<string, unknown>) => Promise<unknown>

function playDeployments(client: KubeApi, scope: { namespace?: string }, status: StatusWriter) {
  const deployments = startReflector(client, Deployment, scope)
  deployments.onChange(({ type, object }) => {
    const { observedGeneration } = (object.status ?? {}) as { observedGeneration?: number }
    if (type === 'deleted' || observedGeneration === object.metadata.generation) return
    const { replicas = 1 } = object.spec as { replicas?: number }
    void status(Deployment, keyOf(object), {
      observedGeneration: object.metadata.generation,
      replicas,
      updatedReplicas: replicas,
      readyReplicas: replicas,
      availableReplicas: replicas,
    })
  })
  return deployments
}

function playJobs(client: KubeApi, scope: { namespace?: string }, status: StatusWriter, time: string) {
  const jobs = startReflector(client, Job, scope)
  jobs.onChange(({ type, object }) => {
    const { conditions } = (object.status ?? {}) as { conditions?: unknown[] }
    const { template } = object.spec as { template?: { spec?: { containers?: { image?: string }[] } } }
    const exitCode = exitCodeOf(template?.spec)
    if (type === 'deleted' || conditions?.length || exitCode === undefined) return
    const condition = (name: string, reason: string, message: string) => ({
      ...{ type: name, status: 'True', reason, message },
      lastTransitionTime: time,
    })
    const message = `Container engine for pod ${object.metadata.name}-x failed with exit code ${exitCode} matching FailJob rule at index 0`
    void status(
      Job,
      keyOf(object),
      exitCode === 0
        ? { succeeded: 1, conditions: [condition('SuccessCriteriaMet', '', ''), condition('Complete', '', '')] }
        : {
            failed: 1,
            conditions: ['FailureTarget', 'Failed'].map((name) => condition(name, 'PodFailurePolicy', message)),
          },
    )
  })
  return jobs
}

function playPods(client: KubeApi, scope: { namespace?: string }, status: StatusWriter, time: string) {
  const pods = startReflector(client, Pod, scope)
  pods.onChange(({ type, object }) => {
    const { phase } = (object.status ?? {}) as { phase?: string }
    if (type === 'deleted' || phase !== 'Pending' || object.metadata.deletionTimestamp) return
    const condition = (name: string) => ({ type: name, status: 'True', lastTransitionTime: time })
    const key = keyOf(object)
    if (object.metadata.labels?.['batch.kubernetes.io/job-name']) {
      const exitCode = exitCodeOf(object.spec as { containers?: { image?: string }[] })
      if (exitCode !== undefined) void status(Pod, key, ended(exitCode, time))
      return
    }
    void status(Pod, key, {
      phase: 'Running',
      podIP: '10.0.0.7',
      podIPs: [{ ip: '10.0.0.7' }],
      conditions: ['Initialized', 'ContainersReady', 'Ready', 'PodScheduled'].map(condition),
    })
  })
  return pods
}

/** Status of a Pod whose one container ended. */
const ended = (exitCode: number, time: string) => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  startTime: time,
  containerStatuses: [
    {
      name: 'engine',
      image: 'engine',
      imageID: 'engine',
      ready: false,
      restartCount: 0,
      state: {
        terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', startedAt: time, finishedAt: time },
      },
    },
  ],
})

function appSecret({ metadata, spec }: KubeObject): KubeObject {
  const { namespace, name: cluster } = metadata
  const { inheritedMetadata } = spec as { inheritedMetadata?: { labels?: Record<string, string> } }
  const uri = `postgresql://app:secret@${cluster}-rw.${namespace}:5432/app`
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${cluster}-app`, namespace: namespace ?? '', ...inheritedMetadata },
    type: 'kubernetes.io/basic-auth',
    data: Object.fromEntries(
      Object.entries({ uri, username: 'app', password: 'secret' }).map(([key, text]) => [
        key,
        Buffer.from(text).toString('base64'),
      ]),
    ),
  }
}

/** Without the inherited labels, as CloudNativePG makes it. */
function caSecret({ metadata }: KubeObject): KubeObject {
  const { namespace = '', name } = metadata
  const data = { 'ca.crt': Buffer.from('the CA').toString('base64') }
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: `${name}-ca`, namespace }, data }
}
