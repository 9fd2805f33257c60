/** The Kubernetes objects that the runner plays with, as far as it reads and writes them (k8s.io/api core, apps, batch, discovery). */
import type { Condition, KubeObject, ObjectMeta } from '../../kube/types.ts'

/** Annotations by which the runner tells where a Pod's process is. */
export const PID_ANNOTATION = 'local.mail.openova.io/pid'
/** JSON: container port name → port on 127.0.0.1. */
export const PORTS_ANNOTATION = 'local.mail.openova.io/ports'
/** Keeps a Pod that is being deleted in the API until its process has ended, as the kubelet's grace period does. */
export const PROCESS_FINALIZER = 'local.mail.openova.io/process'
/** The one Node. */
export const NODE_NAME = 'local'

export interface LabelSelector {
  matchLabels?: Record<string, string>
}

export interface Probe {
  httpGet?: { path?: string; port: number | string; scheme?: string }
  tcpSocket?: { port: number | string }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
}

interface KeyReference {
  name: string
  key: string
  optional?: boolean
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: {
    secretKeyRef?: KeyReference
    configMapKeyRef?: KeyReference
    fieldRef?: { fieldPath: string }
  }
}

export interface Container {
  name: string
  image?: string
  command?: string[]
  args?: string[]
  env?: EnvVar[]
  ports?: { name?: string; containerPort: number; protocol?: string }[]
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[]
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
  terminationMessagePath?: string
  lifecycle?: { preStop?: { sleep?: { seconds: number }; exec?: { command?: string[] } } }
}

export interface VolumeItem {
  key: string
  path: string
}

export interface VolumeSource {
  secret?: { secretName?: string; name?: string; items?: VolumeItem[]; optional?: boolean }
  configMap?: { name?: string; items?: VolumeItem[]; optional?: boolean }
}

export interface Volume extends VolumeSource {
  name: string
  projected?: { sources?: VolumeSource[] }
  emptyDir?: Record<string, unknown>
}

export interface PodSpec {
  nodeName?: string
  containers: Container[]
  volumes?: Volume[]
  terminationGracePeriodSeconds?: number
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  [field: string]: unknown
}

export interface PodCondition {
  type: string
  status: 'True' | 'False'
  reason?: string
  message?: string
  lastTransitionTime: string
}

/** How a container ended (core/v1 ContainerStateTerminated). */
export interface TerminatedState {
  exitCode: number
  signal?: number
  reason: string
  message?: string
  startedAt: string
  finishedAt: string
}

export interface PodStatus {
  phase?: string
  podIP?: string
  conditions?: PodCondition[]
  containerStatuses?: {
    name: string
    ready: boolean
    restartCount: number
    state?: { waiting?: { reason: string; message?: string }; running?: object; terminated?: TerminatedState }
  }[]
}

export type Pod = KubeObject<PodSpec, PodStatus> & { spec: PodSpec }

export interface PodTemplate {
  metadata?: Partial<ObjectMeta>
  spec: PodSpec
}

export interface ReplicaSetSpec {
  replicas?: number
  selector: LabelSelector
  template: PodTemplate
  minReadySeconds?: number
}

export interface ReplicaSetStatus {
  replicas?: number
  readyReplicas?: number
  availableReplicas?: number
  observedGeneration?: number
}

export type ReplicaSet = KubeObject<ReplicaSetSpec, ReplicaSetStatus> & { spec: ReplicaSetSpec }

export interface DeploymentSpec extends ReplicaSetSpec {
  strategy?: { type?: string; rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string } }
  paused?: boolean
  revisionHistoryLimit?: number
  progressDeadlineSeconds?: number
}

export interface DeploymentStatus extends ReplicaSetStatus {
  updatedReplicas?: number
  unavailableReplicas?: number
  conditions?: (Condition & { lastUpdateTime?: string })[]
}

export type Deployment = KubeObject<DeploymentSpec, DeploymentStatus> & { spec: DeploymentSpec }

export interface JobSpec {
  /** The API fills in selector, completions, parallelism and backoffLimit. */
  selector?: LabelSelector
  template: PodTemplate
  completions?: number
  parallelism?: number
  backoffLimit?: number
  activeDeadlineSeconds?: number
  suspend?: boolean
  podReplacementPolicy?: 'Failed' | 'TerminatingOrFailed'
  podFailurePolicy?: {
    rules: {
      action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count'
      onExitCodes?: { containerName?: string; operator: 'In' | 'NotIn'; values: number[] }
    }[]
  }
}

export interface JobCondition {
  type: string
  status: 'True' | 'False'
  reason: string
  message: string
  lastProbeTime: string
  lastTransitionTime: string
}

export interface JobStatus {
  startTime?: string
  completionTime?: string
  active?: number
  ready?: number
  terminating?: number
  succeeded?: number
  failed?: number
  conditions?: JobCondition[]
}

export type Job = KubeObject<JobSpec, JobStatus> & { spec: JobSpec }

export interface ServicePort {
  name?: string
  port: number
  targetPort?: number | string
  protocol?: string
}

export interface ServiceSpec {
  type?: string
  selector?: Record<string, string>
  ports?: ServicePort[]
}

export type Service = KubeObject<ServiceSpec, { loadBalancer?: { ingress?: { ip?: string }[] } }> & {
  spec: ServiceSpec
}

/** "a=1,b=2": a label selector as list calls take it. */
export function selectorText(labels: Record<string, string> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

export function matchesLabels(object: KubeObject, labels: Record<string, string> | undefined): boolean {
  return Object.entries(labels ?? {}).every(([key, value]) => object.metadata.labels?.[key] === value)
}

/** The controlling owner's uid (meta/v1 GetControllerOf). */
export function controllerUid(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller)?.uid
}

export function isPodReady(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')
  )
}

/** Has ended for good: no container of it runs again. */
export function hasEnded(pod: Pod): boolean {
  return ['Failed', 'Succeeded'].includes(pod.status?.phase ?? '')
}

/** Counts as a replica: not on its way out and not ended for good. */
export function isPodActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !hasEnded(pod)
}

/** A timestamp as meta/v1 writes it: seconds only. */
export function kubeTime(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z')
}
