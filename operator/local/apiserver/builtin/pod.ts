/** The PodSpec and PodTemplateSpec (core/v1), with the merge keys and defaults of the real types. */
import type { Schema } from '../schema.ts'
import {
  anything,
  atomic,
  boolean,
  bytes,
  conditions,
  integer,
  intOrString,
  keyed,
  labelSelector,
  labels,
  list,
  long,
  map,
  mergedAtomic,
  objectMeta,
  oneOf,
  quantity,
  string,
  struct,
  time,
  topLevel,
  withDefault,
} from '../schema.ts'

const keySelector = atomic(struct({ 'key!': string, name: withDefault(string, ''), optional: boolean }))
const fieldRef = atomic(struct({ apiVersion: withDefault(string, 'v1'), 'fieldPath!': string }))
const resourceFieldRef = atomic(
  struct({ containerName: string, 'resource!': string, divisor: withDefault(quantity, '0') }),
)
const localReference = atomic(struct({ name: withDefault(string, '') }))
const keyToPath = list(struct({ 'key!': string, 'path!': string, mode: integer }))

const httpGet = struct({
  'port!': intOrString,
  path: withDefault(string, '/'),
  host: string,
  scheme: withDefault(string, 'HTTP'),
  httpHeaders: list(struct({ 'name!': string, 'value!': string })),
})
const handler = {
  exec: struct({ command: list(string) }),
  httpGet,
  tcpSocket: struct({ 'port!': intOrString, host: string }),
  grpc: struct({ 'port!': integer, service: withDefault(string, '') }),
}
const probe = struct({
  ...handler,
  initialDelaySeconds: integer,
  terminationGracePeriodSeconds: long,
  timeoutSeconds: withDefault(integer, 1),
  periodSeconds: withDefault(integer, 10),
  successThreshold: withDefault(integer, 1),
  failureThreshold: withDefault(integer, 3),
})
const lifecycleHandler = struct({ ...handler, sleep: struct({ 'seconds!': long }) })
const seccompProfile = struct({ 'type!': string, localhostProfile: string })
const resources = struct({
  limits: map(quantity),
  requests: map(quantity),
  claims: keyed(['name'], struct({ 'name!': string, request: string })),
})

const container: Schema = struct({
  'name!': string,
  image: string,
  command: list(string),
  args: list(string),
  workingDir: string,
  ports: keyed(
    ['containerPort', 'protocol'],
    struct({
      'containerPort!': integer,
      protocol: withDefault(oneOf('SCTP', 'TCP', 'UDP'), 'TCP'),
      name: string,
      hostPort: integer,
      hostIP: string,
    }),
  ),
  env: keyed(
    ['name'],
    struct({
      'name!': string,
      value: string,
      valueFrom: struct({
        configMapKeyRef: keySelector,
        secretKeyRef: keySelector,
        fieldRef,
        resourceFieldRef,
        fileKeyRef: anything,
      }),
    }),
  ),
  envFrom: list(
    struct({
      prefix: string,
      configMapRef: struct({ name: withDefault(string, ''), optional: boolean }),
      secretRef: struct({ name: withDefault(string, ''), optional: boolean }),
    }),
  ),
  resources: withDefault(resources, {}),
  resizePolicy: list(anything),
  restartPolicy: string,
  restartPolicyRules: list(anything),
  volumeMounts: keyed(
    ['mountPath'],
    struct({
      'name!': string,
      'mountPath!': string,
      readOnly: boolean,
      recursiveReadOnly: string,
      subPath: string,
      subPathExpr: string,
      mountPropagation: string,
    }),
  ),
  volumeDevices: keyed(['devicePath'], struct({ 'name!': string, 'devicePath!': string })),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: struct({ postStart: lifecycleHandler, preStop: lifecycleHandler, stopSignal: string }),
  terminationMessagePath: withDefault(string, '/dev/termination-log'),
  terminationMessagePolicy: withDefault(string, 'File'),
  imagePullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
  securityContext: struct({
    capabilities: struct({ add: list(string), drop: list(string) }),
    privileged: boolean,
    seLinuxOptions: anything,
    windowsOptions: anything,
    appArmorProfile: anything,
    runAsUser: long,
    runAsGroup: long,
    runAsNonRoot: boolean,
    readOnlyRootFilesystem: boolean,
    allowPrivilegeEscalation: boolean,
    procMount: string,
    seccompProfile,
  }),
  stdin: boolean,
  stdinOnce: boolean,
  tty: boolean,
  targetContainerName: string,
})

export const volume: Schema = struct({
  'name!': string,
  emptyDir: struct({ medium: string, sizeLimit: quantity }),
  secret: struct({ secretName: string, items: keyToPath, defaultMode: withDefault(integer, 420), optional: boolean }),
  configMap: struct({
    name: withDefault(string, ''),
    items: keyToPath,
    defaultMode: withDefault(integer, 420),
    optional: boolean,
  }),
  persistentVolumeClaim: struct({ 'claimName!': string, readOnly: boolean }),
  hostPath: struct({ 'path!': string, type: withDefault(string, '') }),
  downwardAPI: struct({
    items: list(struct({ 'path!': string, fieldRef, resourceFieldRef, mode: integer })),
    defaultMode: withDefault(integer, 420),
  }),
  projected: struct({
    sources: list(
      struct({
        secret: struct({ name: withDefault(string, ''), items: keyToPath, optional: boolean }),
        configMap: struct({ name: withDefault(string, ''), items: keyToPath, optional: boolean }),
        downwardAPI: struct({ items: list(struct({ 'path!': string, fieldRef, resourceFieldRef, mode: integer })) }),
        serviceAccountToken: struct({ audience: string, expirationSeconds: withDefault(long, 3600), 'path!': string }),
        clusterTrustBundle: anything,
        podCertificate: anything,
      }),
    ),
    defaultMode: withDefault(integer, 420),
  }),
  csi: anything,
  nfs: anything,
  ephemeral: anything,
  image: anything,
})

const weighted = (weight: string, key: string, inner: Schema) =>
  list(struct({ [`${weight}!`]: integer, [`${key}!`]: inner }))
const podAffinityTerm = struct({
  labelSelector,
  namespaces: list(string),
  'topologyKey!': string,
  namespaceSelector: labelSelector,
  matchLabelKeys: list(string),
  mismatchLabelKeys: list(string),
})
const podAffinity = struct({
  requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm),
  preferredDuringSchedulingIgnoredDuringExecution: weighted('weight', 'podAffinityTerm', podAffinityTerm),
})
const nodeSelectorTerm = atomic(struct({ matchExpressions: list(anything), matchFields: list(anything) }))
const affinity = struct({
  nodeAffinity: struct({
    requiredDuringSchedulingIgnoredDuringExecution: atomic(struct({ 'nodeSelectorTerms!': list(nodeSelectorTerm) })),
    preferredDuringSchedulingIgnoredDuringExecution: weighted('weight', 'preference', nodeSelectorTerm),
  }),
  podAffinity,
  podAntiAffinity: podAffinity,
})

export const podSpec: Schema = struct({
  'containers!': keyed(['name'], container),
  initContainers: keyed(['name'], container),
  ephemeralContainers: keyed(['name'], container),
  volumes: keyed(['name'], volume),
  restartPolicy: withDefault(oneOf('Always', 'OnFailure', 'Never'), 'Always'),
  terminationGracePeriodSeconds: withDefault(long, 30),
  activeDeadlineSeconds: long,
  dnsPolicy: withDefault(string, 'ClusterFirst'),
  dnsConfig: struct({
    nameservers: list(string),
    searches: list(string),
    options: list(struct({ name: string, value: string })),
  }),
  nodeSelector: atomic(labels),
  serviceAccountName: string,
  serviceAccount: string,
  automountServiceAccountToken: boolean,
  nodeName: string,
  hostNetwork: boolean,
  hostPID: boolean,
  hostIPC: boolean,
  hostUsers: boolean,
  shareProcessNamespace: boolean,
  securityContext: withDefault(
    struct({
      runAsUser: long,
      runAsGroup: long,
      runAsNonRoot: boolean,
      fsGroup: long,
      fsGroupChangePolicy: string,
      supplementalGroups: list(long),
      supplementalGroupsPolicy: string,
      seccompProfile,
      appArmorProfile: anything,
      seLinuxOptions: anything,
      seLinuxChangePolicy: string,
      windowsOptions: anything,
      sysctls: list(struct({ 'name!': string, 'value!': string })),
    }),
    {},
  ),
  imagePullSecrets: keyed(['name'], localReference),
  hostname: string,
  subdomain: string,
  hostnameOverride: string,
  affinity,
  schedulerName: withDefault(string, 'default-scheduler'),
  tolerations: list(struct({ key: string, operator: string, value: string, effect: string, tolerationSeconds: long })),
  hostAliases: keyed(['ip'], struct({ 'ip!': string, hostnames: list(string) })),
  priorityClassName: string,
  priority: integer,
  preemptionPolicy: string,
  readinessGates: list(struct({ 'conditionType!': string })),
  runtimeClassName: string,
  enableServiceLinks: boolean,
  overhead: map(quantity),
  setHostnameAsFQDN: boolean,
  os: struct({ 'name!': string }),
  topologySpreadConstraints: keyed(
    ['topologyKey', 'whenUnsatisfiable'],
    struct({
      'maxSkew!': integer,
      'topologyKey!': string,
      'whenUnsatisfiable!': string,
      labelSelector,
      minDomains: integer,
      nodeAffinityPolicy: string,
      nodeTaintsPolicy: string,
      matchLabelKeys: list(string),
    }),
  ),
  schedulingGates: keyed(['name'], struct({ 'name!': string })),
  resourceClaims: keyed(['name'], anything),
  resources,
})

export const podTemplate: Schema = struct({ metadata: objectMeta, spec: podSpec })

const containerStatus = struct({
  'name!': string,
  'ready!': boolean,
  'restartCount!': integer,
  'image!': string,
  'imageID!': string,
  containerID: string,
  started: boolean,
  state: struct({
    waiting: struct({ reason: string, message: string }),
    running: struct({ startedAt: time }),
    terminated: struct({
      exitCode: integer,
      signal: integer,
      reason: string,
      message: string,
      startedAt: time,
      finishedAt: time,
      containerID: string,
    }),
  }),
  lastState: anything,
  allocatedResources: map(quantity),
  resources: anything,
  volumeMounts: list(anything),
  user: anything,
  allocatedResourcesStatus: list(anything),
})

export const pod: Schema = topLevel(
  {
    spec: podSpec,
    status: struct({
      phase: string,
      conditions,
      message: string,
      reason: string,
      hostIP: string,
      podIP: string,
      startTime: time,
      qosClass: string,
      hostIPs: list(struct({ ip: string })),
      podIPs: keyed(['ip'], struct({ ip: string })),
      nominatedNodeName: string,
      observedGeneration: long,
      resize: string,
      containerStatuses: list(containerStatus),
      initContainerStatuses: list(containerStatus),
      ephemeralContainerStatuses: list(containerStatus),
      resourceClaimStatuses: list(anything),
      extendedResourceClaimStatus: anything,
    }),
  },
  'Pod is a collection of containers that can run on a host.',
)

const serviceAccountFields = {
  secrets: mergedAtomic(anything, 'name'),
  imagePullSecrets: list(localReference),
  automountServiceAccountToken: boolean,
}
export const serviceAccount: Schema = topLevel(
  serviceAccountFields,
  'ServiceAccount binds together a name and a set of secrets.',
)
export const data = { map: labels, binary: map(bytes) }

const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers']

type Loose = { [key: string]: unknown }

/** Defaults of a PodSpec that one field takes from another (pkg/apis/core/v1/defaults.go). */
export function defaultPodSpec(spec: Loose): void {
  if (spec.serviceAccountName && !spec.serviceAccount) spec.serviceAccount = spec.serviceAccountName
  for (const name of CONTAINER_LISTS) {
    for (const item of Array.isArray(spec[name]) ? spec[name] : []) defaultContainer(item)
  }
  for (const item of Array.isArray(spec.volumes) ? spec.volumes : []) {
    if (Object.keys(item).length === 1) item.emptyDir = {}
  }
}

function defaultContainer(item: Loose): void {
  if (!item.imagePullPolicy && typeof item.image === 'string') {
    const tag = /:([^/:@]+)(@|$)/.exec(item.image)?.[1]
    const floating = tag === undefined ? !item.image.includes('@') : tag === 'latest'
    item.imagePullPolicy = floating ? 'Always' : 'IfNotPresent'
  }
  const { limits, requests } = (item.resources ?? {}) as { limits?: Loose; requests?: Loose }
  if (limits) item.resources = { limits, requests: { ...limits, ...requests } }
}
