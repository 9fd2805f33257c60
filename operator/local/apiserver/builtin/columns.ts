/** Printer columns of the built-in kinds, as kubectl's users know them (k8s.io/kubernetes pkg/printers/internalversion). */
import { at, isObject, type Json, type KubeObject } from '../json.ts'
import type { Column } from '../registry.ts'
import { AGE, age, NAME } from '../table.ts'

const simple = (name: string, path: string, more: Partial<Column> = {}): Column => ({
  name,
  type: 'string',
  value: (object) => at(object, ...path.split('.')),
  ...more,
})
const count = (path: string) => (object: KubeObject) => {
  const value = at(object, ...path.split('.'))
  return Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : 0
}
const number = (object: KubeObject, ...path: string[]): number => Number(at(object, ...path) ?? 0)

function podReady(object: KubeObject): string {
  const statuses = at(object, 'status', 'containerStatuses')
  const ready = Array.isArray(statuses) ? statuses.filter((status) => isObject(status) && status.ready).length : 0
  return `${ready}/${count('spec.containers')(object)}`
}

function podStatus(object: KubeObject): Json | undefined {
  if (object.metadata.deletionTimestamp) return 'Terminating'
  const statuses = at(object, 'status', 'containerStatuses')
  const reason = (Array.isArray(statuses) ? statuses : [])
    .map((status) => at(status, 'state', 'waiting', 'reason') ?? at(status, 'state', 'terminated', 'reason'))
    .find(Boolean)
  return reason ?? at(object, 'status', 'reason') ?? at(object, 'status', 'phase')
}

function podRestarts(object: KubeObject): string {
  const statuses = at(object, 'status', 'containerStatuses')
  const counts = (Array.isArray(statuses) ? statuses : []).map((status) => Number(at(status, 'restartCount') ?? 0))
  return String(counts.reduce((sum, count) => sum + count, 0))
}

function jobStatus(object: KubeObject): string {
  const conditions = at(object, 'status', 'conditions')
  const has = (type: string) =>
    (Array.isArray(conditions) ? conditions : []).some(
      (condition) => at(condition, 'type') === type && at(condition, 'status') === 'True',
    )
  const ended = ['Complete', 'Failed'].find(has)
  if (ended) return ended
  if (object.metadata.deletionTimestamp) return 'Terminating'
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running'
}

function jobCompletions(object: KubeObject): string {
  const succeeded = number(object, 'status', 'succeeded')
  const completions = at(object, 'spec', 'completions')
  if (completions !== undefined) return `${succeeded}/${completions}`
  const parallelism = number(object, 'spec', 'parallelism')
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function jobDuration(object: KubeObject, now: Date): string {
  const started = at(object, 'status', 'startTime')
  const completed = at(object, 'status', 'completionTime')
  if (started === undefined) return ''
  return age(started, typeof completed === 'string' ? new Date(completed) : now)
}

function servicePorts(object: KubeObject): string {
  const ports = at(object, 'spec', 'ports')
  const texts = (Array.isArray(ports) ? ports : []).map(
    (port) => `${at(port, 'port')}${at(port, 'nodePort') ? `:${at(port, 'nodePort')}` : ''}/${at(port, 'protocol')}`,
  )
  return texts.join(',') || '<none>'
}

function serviceAddress(object: KubeObject): string {
  const ingress = at(object, 'status', 'loadBalancer', 'ingress')
  const texts = (Array.isArray(ingress) ? ingress : []).map((entry) => at(entry, 'ip') ?? at(entry, 'hostname'))
  if (texts.length > 0) return texts.join(',')
  return at(object, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>'
}

function selectorText(selector: Json | undefined): string {
  const labels = isObject(selector) ? Object.entries(selector).map(([key, value]) => `${key}=${value}`) : []
  return labels.join(',') || '<none>'
}

function containers(field: 'name' | 'image', ...path: string[]): (object: KubeObject) => string {
  return (object) => {
    const list = at(object, ...path)
    return (Array.isArray(list) ? list : []).map((item) => at(item, field)).join(',')
  }
}

const TEMPLATE = ['spec', 'template', 'spec', 'containers']
const wide = (name: string, value: Column['value']): Column => ({ name, type: 'string', priority: 1, value })
const plain = (name: string, value: Column['value'], type = 'string'): Column => ({ name, type, value })

/** Columns after NAME and before AGE, by `plural.group`. */
const BUILT_IN: { [resource: string]: { middle?: Column[]; last?: Column[] } } = {
  'namespaces.': { middle: [simple('Status', 'status.phase')] },
  'secrets.': { middle: [simple('Type', 'type'), plain('Data', count('data'), 'integer')] },
  'configmaps.': {
    middle: [plain('Data', (object) => Number(count('data')(object)) + Number(count('binaryData')(object)), 'integer')],
  },
  'services.': {
    middle: [
      simple('Type', 'spec.type'),
      plain('Cluster-IP', (object) => at(object, 'spec', 'clusterIP') ?? '<none>'),
      plain('External-IP', serviceAddress),
      plain('Port(s)', servicePorts),
    ],
    last: [wide('Selector', (object) => selectorText(at(object, 'spec', 'selector')))],
  },
  'serviceaccounts.': { middle: [plain('Secrets', count('secrets'), 'integer')] },
  'pods.': {
    middle: [plain('Ready', podReady), plain('Status', podStatus), plain('Restarts', podRestarts)],
    last: [
      wide('IP', (object) => at(object, 'status', 'podIP') ?? '<none>'),
      wide('Node', (object) => at(object, 'spec', 'nodeName') ?? '<none>'),
      wide('Nominated Node', (object) => at(object, 'status', 'nominatedNodeName') ?? '<none>'),
      wide('Readiness Gates', () => '<none>'),
    ],
  },
  'persistentvolumeclaims.': {
    middle: [
      simple('Status', 'status.phase'),
      simple('Volume', 'spec.volumeName'),
      simple('Capacity', 'status.capacity.storage'),
      plain('Access Modes', (object) => String(at(object, 'status', 'accessModes') ?? '')),
      simple('StorageClass', 'spec.storageClassName'),
    ],
  },
  'deployments.apps': {
    middle: [
      plain('Ready', (object) => `${number(object, 'status', 'readyReplicas')}/${number(object, 'spec', 'replicas')}`),
      plain('Up-to-date', (object) => number(object, 'status', 'updatedReplicas'), 'integer'),
      plain('Available', (object) => number(object, 'status', 'availableReplicas'), 'integer'),
    ],
    last: [
      wide('Containers', containers('name', ...TEMPLATE)),
      wide('Images', containers('image', ...TEMPLATE)),
      wide('Selector', (object) => selectorText(at(object, 'spec', 'selector', 'matchLabels'))),
    ],
  },
  'replicasets.apps': {
    middle: [
      plain('Desired', (object) => number(object, 'spec', 'replicas'), 'integer'),
      plain('Current', (object) => number(object, 'status', 'replicas'), 'integer'),
      plain('Ready', (object) => number(object, 'status', 'readyReplicas'), 'integer'),
    ],
    last: [
      wide('Containers', containers('name', ...TEMPLATE)),
      wide('Images', containers('image', ...TEMPLATE)),
      wide('Selector', (object) => selectorText(at(object, 'spec', 'selector', 'matchLabels'))),
    ],
  },
  'jobs.batch': {
    middle: [plain('Status', jobStatus), plain('Completions', jobCompletions), plain('Duration', jobDuration)],
    last: [
      wide('Containers', containers('name', ...TEMPLATE)),
      wide('Images', containers('image', ...TEMPLATE)),
      wide('Selector', (object) => selectorText(at(object, 'spec', 'selector', 'matchLabels'))),
    ],
  },
  'poddisruptionbudgets.policy': {
    middle: [
      plain('Min Available', (object) => String(at(object, 'spec', 'minAvailable') ?? 'N/A')),
      plain('Max Unavailable', (object) => String(at(object, 'spec', 'maxUnavailable') ?? 'N/A')),
      plain('Allowed Disruptions', (object) => number(object, 'status', 'disruptionsAllowed'), 'integer'),
    ],
  },
  'leases.coordination.k8s.io': { middle: [simple('Holder', 'spec.holderIdentity')] },
  'endpoints.': { middle: [plain('Endpoints', endpointTexts)] },
  'networkpolicies.networking.k8s.io': {
    middle: [plain('Pod-Selector', (object) => selectorText(at(object, 'spec', 'podSelector', 'matchLabels')))],
  },
  'ingresses.networking.k8s.io': {
    middle: [
      plain('Class', (object) => at(object, 'spec', 'ingressClassName') ?? '<none>'),
      plain('Hosts', (object) =>
        Array.isArray(at(object, 'spec', 'rules'))
          ? (at(object, 'spec', 'rules') as Json[]).map((rule) => at(rule, 'host') ?? '*').join(',')
          : '*',
      ),
      plain('Address', (object) => serviceAddress(object).replace('<none>', '')),
      plain('Ports', (object) => (at(object, 'spec', 'tls') ? '80, 443' : '80')),
    ],
  },
  'customresourcedefinitions.apiextensions.k8s.io': {},
}

function endpointTexts(object: KubeObject): string {
  const subsets = Array.isArray(object.subsets) ? object.subsets : []
  const texts = subsets.flatMap((subset) => {
    const [addresses, ports] = [at(subset, 'addresses'), at(subset, 'ports')]
    return (Array.isArray(addresses) ? addresses : []).flatMap((address) =>
      (Array.isArray(ports) ? ports : []).map((port) => `${at(address, 'ip')}:${at(port, 'port')}`),
    )
  })
  return texts.join(',') || '<none>'
}

const EVENT_COLUMNS: Column[] = [
  plain('Last Seen', (object, now) =>
    age(
      object.lastTimestamp ?? object.deprecatedLastTimestamp ?? object.eventTime ?? object.metadata.creationTimestamp,
      now,
    ),
  ),
  simple('Type', 'type'),
  simple('Reason', 'reason'),
  plain('Object', (object) => {
    const of = object.involvedObject ?? object.regarding
    return `${String(at(of, 'kind') ?? '').toLowerCase()}/${at(of, 'name')}`
  }),
  plain('Message', (object) => object.message ?? object.note),
  { ...NAME, priority: 1 },
]

export function builtInColumns(group: string, plural: string): Column[] {
  if (plural === 'events') return EVENT_COLUMNS
  const { middle = [], last = [] } = BUILT_IN[`${plural}.${group}`] ?? {}
  if (plural === 'customresourcedefinitions') return [NAME, simple('Created At', 'metadata.creationTimestamp')]
  return [NAME, ...middle, AGE, ...last]
}
