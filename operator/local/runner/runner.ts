/** The parts of a cluster that are no API: controllers of workloads and Services, the node, CloudNativePG, the object store. */
import { join } from 'node:path'
import type { KubeApi } from '../../kube/client.ts'
import { type Controller, createController, itself, ownersOf, sourceOf } from '../../kube/controller.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { startReflector } from '../../kube/reflector.ts'
import {
  ConfigMap,
  Deployment as DeploymentResource,
  EndpointSlice,
  Job as JobResource,
  keyOf,
  Pod as PodResource,
  ReplicaSet as ReplicaSetResource,
  Secret,
  Service as ServiceResource,
} from '../../kube/resources.ts'
import type { KubeObject, ObjectKey, Reflector, Resource } from '../../kube/types.ts'
import { MailServer, type ObjectStore, reconcileBucketSecret } from './bucket.ts'
import { CnpgCluster, createCnpg } from './cnpg.ts'
import { type DeploymentDeps, reconcileDeployment } from './deployments.ts'
import { reconcileJob } from './jobs.ts'
import { startMetricsServer } from './merged-metrics.ts'
import { type Deployment, isPodReady, type Job, type Pod, type ReplicaSet, type Service } from './objects.ts'
import { forgetLastRun, podsOfNode, startNode } from './pods.ts'
import type { ProcessTable } from './process-table.ts'
import { reconcileReplicaSet } from './replica-sets.ts'
import type { ServicePorts } from './service-ports.ts'
import { createServices, podPort } from './services.ts'

/** Every object is looked at again after this, so that a lost thought is thought again. */
const RESYNC_MS = 60_000

export interface RunnerOptions {
  client: KubeApi
  /** Holds pods/ and postgres/. */
  directory: string
  repositoryRoot: string
  table: ProcessTable
  store: ObjectStore
  ports: ServicePorts
  /** Of the merged metrics; 0 is a free one. */
  metricsPort: number
  /** Of this process; Pods get PATH and a few more from it. */
  env: Record<string, string | undefined>
  /** Worker processes of a Pod whose spec does not say. */
  workers: number
  logger: KubeLogger
  progress: (message: string) => void
  now?: () => Date
}

export interface Runner {
  metricsPort: number
  /** Service port name → local port. */
  localPorts(key: ObjectKey): Record<string, number>
  pods(): Pod[]
  /** Ends everything in order: new connections, engines, databases. */
  stop(graceMs: number): Promise<void>
}

/** Returns once its caches are filled; what the API asks for then starts in the background. */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const { client, logger, progress, now = () => new Date() } = options
  await forgetLastRun(client) // before the caches fill, so that nobody believes what is not true any more
  const reflectors: Reflector[] = []
  const reflect = <T extends KubeObject>(resource: Resource): Reflector<T> => {
    const reflector = startReflector<T>(client, resource, { resyncMs: RESYNC_MS }, { logger })
    reflectors.push(reflector as unknown as Reflector)
    return reflector
  }
  const pods = reflect<Pod>(PodResource)
  const services = reflect<Service>(ServiceResource)
  const deployments = reflect<Deployment>(DeploymentResource)
  const sets = reflect<ReplicaSet>(ReplicaSetResource)
  const jobs = reflect<Job>(JobResource)
  const slices = reflect(EndpointSlice)
  const secrets = reflect(Secret)
  const configMaps = reflect(ConfigMap)
  const clusters = reflect(CnpgCluster)
  const mailServers = reflect(MailServer)

  const metrics = await startMetricsServer(options.metricsPort, () => {
    const ready = podsOfNode(pods).filter(isPodReady)
    const targets = ready.map((pod) => [pod.metadata.name, podPort(pod, 'jmap')] as const)
    return new Map(targets.filter((entry): entry is [string, number] => entry[1] !== undefined))
  })
  const serviceController = createServices({
    client,
    logger,
    services,
    pods,
    ports: options.ports,
    onProblem: progress,
  })
  const cnpg = createCnpg({
    client,
    logger,
    now,
    progress,
    directory: join(options.directory, 'postgres'),
    again: (key) => cnpgController.queue.addAfter(key, 1_000),
  })
  const deploymentDeps: DeploymentDeps = { client, logger, now }
  /** A Pod concerns every Service of its namespace: selectors are compared there. */
  const servicesBeside = ({ object }: { object: KubeObject }): ObjectKey[] =>
    services.list(object.metadata.namespace).map(keyOf)
  const deps = { logger }
  const cnpgController = createController(
    {
      name: 'cnpg',
      sources: [sourceOf(clusters, itself), sourceOf(secrets, ownersOf('postgresql.cnpg.io', 'Cluster'))],
      reconcile: cnpg.reconcile,
    },
    deps,
  )
  const controllers: Controller[] = [
    cnpgController,
    createController(
      {
        name: 'deployment',
        sources: [
          sourceOf(deployments, itself),
          sourceOf(sets, ownersOf('apps', 'Deployment')),
          // A Pod's owner is the ReplicaSet, whose owner is the Deployment.
          sourceOf(pods, ({ object }) => deploymentsOf(object, sets)),
        ],
        reconcile: (key) => reconcileDeployment(key, deploymentDeps),
      },
      deps,
    ),
    createController(
      {
        name: 'replicaset',
        sources: [sourceOf(sets, itself), sourceOf(pods, ownersOf('apps', 'ReplicaSet'))],
        reconcile: (key) => reconcileReplicaSet(key, { client, logger }),
      },
      deps,
    ),
    createController(
      {
        name: 'job',
        sources: [sourceOf(jobs, itself), sourceOf(pods, ownersOf('batch', 'Job'))],
        reconcile: (key) => reconcileJob(key, { client, logger, now }),
      },
      deps,
    ),
    createController(
      {
        name: 'service',
        sources: [
          sourceOf(services, itself),
          sourceOf(pods, servicesBeside),
          sourceOf(slices, ownersOf('', 'Service')),
        ],
        reconcile: serviceController.reconcile,
      },
      deps,
    ),
    createController(
      {
        name: 'bucket',
        sources: [sourceOf(mailServers, itself)],
        reconcile: (key) => reconcileBucketSecret(key, { client, store: options.store }),
      },
      deps,
    ),
  ]
  await Promise.all(reflectors.map(({ synced }) => synced))
  const node = startNode({
    client,
    logger,
    pods,
    secrets,
    configMaps,
    table: options.table,
    directory: join(options.directory, 'pods'),
    repositoryRoot: options.repositoryRoot,
    inherited: options.env,
    workers: options.workers,
    now,
    progress,
  })
  await Promise.all(controllers.map((controller) => controller.start()))
  return {
    metricsPort: metrics.port,
    localPorts: serviceController.localPorts,
    pods: () => podsOfNode(pods),
    async stop(graceMs) {
      serviceController.stopListening()
      await Promise.all(controllers.map((controller) => controller.stop(1_000)))
      await node.stop(graceMs)
      await Promise.all([serviceController.close(), metrics.close(), cnpg.stop()])
      await Promise.all(reflectors.map((reflector) => reflector.stop()))
    },
  }
}

function deploymentsOf(pod: KubeObject, sets: Reflector<ReplicaSet>): ObjectKey[] {
  const namespace = pod.metadata.namespace ?? ''
  return (pod.metadata.ownerReferences ?? [])
    .filter(({ kind }) => kind === 'ReplicaSet')
    .flatMap(({ name }) => sets.get({ namespace, name })?.metadata.ownerReferences ?? [])
    .filter(({ kind }) => kind === 'Deployment')
    .map(({ name }) => ({ namespace, name }))
}
