/**
 * Bodies in Kubernetes' protobuf, for the kinds that `kubectl create NAME` and `kubectl auth can-i` send so. Everything
 * else, and any field that these tables lack, is 415: never half understood. Field numbers: k8s.io/api generated.proto.
 */
import type { Json, JsonObject } from './json.ts'
import { badRequest, unsupportedMediaType } from './status-errors.ts'

type Field = {
  name: string
  type: 'string' | 'bytes' | 'int' | 'bool' | 'time' | 'intOrString' | Message
  repeated?: boolean
  /** A Go pointer: its zero means zero, not absence. */
  pointer?: boolean
  map?: boolean
}
type Message = { [number: number]: Field }

const MAX_DEPTH = 20

/** `1 name, 11 labels map, 14 finalizers list`: strings unless a type or a message follows. */
function message(text: string, messages: { [name: string]: Message } = {}): Message {
  const fields = text.split(',').map((part) => {
    const [number = '', name = '', ...words] = part.trim().split(' ')
    const named = words.find((word) => !['list', 'map', 'pointer'].includes(word)) ?? 'string'
    const type = messages[named] ?? (named as 'string')
    const field: Field = {
      name,
      type,
      ...(words.includes('list') && { repeated: true }),
      ...(words.includes('map') && { map: true }),
      ...(words.includes('pointer') && { pointer: true }),
    }
    return [Number(number), field]
  })
  return Object.fromEntries(fields)
}

const owner = message('1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool, 7 blockOwnerDeletion bool')
const meta = message(
  '1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation int, 8 creationTimestamp time, 9 deletionTimestamp time, 10 deletionGracePeriodSeconds int, 11 labels map, 12 annotations map, 13 ownerReferences list owner, 14 finalizers list',
  { owner },
)
const named = message('1 name')
const port = message('1 name, 2 protocol, 3 port int, 4 targetPort intOrString, 5 nodePort int, 6 appProtocol')
const serviceSpec = message(
  '1 ports list port, 2 selector map, 3 clusterIP, 4 type, 5 externalIPs list, 7 sessionAffinity, 8 loadBalancerIP, 10 externalName',
  { port },
)
const containerPort = message('1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP')
const environment = message('1 name, 2 value')
const empty: Message = {}
const container = message(
  '1 name, 2 image, 3 command list, 4 args list, 5 workingDir, 6 ports list containerPort, 7 env list environment, 8 resources empty',
  { containerPort, environment, empty },
)
const podSpec = message(
  '2 containers list container, 3 restartPolicy, 8 serviceAccountName, 14 securityContext empty',
  { container, empty },
)
const template = message('1 metadata meta, 2 spec podSpec', { meta, podSpec })
const selector = message('1 matchLabels map')
const deploymentSpec = message('1 replicas int pointer, 2 selector selector, 3 template template, 4 strategy empty', {
  selector,
  template,
  empty,
})
const rule = message('1 verbs list, 2 apiGroups list, 3 resources list, 4 resourceNames list, 5 nonResourceURLs list')
const reference = message('1 apiGroup, 2 kind, 3 name')
const subject = message('1 kind, 2 apiGroup, 3 name, 4 namespace')
const attributes = message('1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name')
const nonResource = message('1 path, 2 verb')
const reviewSpec = message('1 resourceAttributes attributes, 2 nonResourceAttributes nonResource', {
  attributes,
  nonResource,
})
const reviewStatus = message('1 allowed bool, 2 reason, 3 evaluationError, 4 denied bool')
const budgetSpec = message('1 minAvailable intOrString, 2 selector selector, 3 maxUnavailable intOrString', {
  selector,
})
const finalizers = message('1 finalizers list')
const phase = message('1 phase')
const preconditions = message('1 uid, 2 resourceVersion')

const KINDS: { [kind: string]: Message } = {
  'v1/Namespace': message('1 metadata meta, 2 spec finalizers, 3 status phase', { meta, finalizers, phase }),
  'v1/ConfigMap': message('1 metadata meta, 2 data map, 3 binaryData map bytes, 4 immutable bool', { meta }),
  'v1/Secret': message('1 metadata meta, 2 data map bytes, 3 type, 4 stringData map, 5 immutable bool', { meta }),
  'v1/ServiceAccount': message(
    '1 metadata meta, 2 secrets list named, 3 imagePullSecrets list named, 4 automountServiceAccountToken bool',
    { meta, named },
  ),
  'v1/Service': message('1 metadata meta, 2 spec serviceSpec, 3 status status', {
    meta,
    serviceSpec,
    status: message('1 loadBalancer empty', { empty }),
  }),
  'v1/DeleteOptions': message(
    '1 gracePeriodSeconds int pointer, 2 preconditions preconditions, 3 orphanDependents bool, 4 propagationPolicy, 5 dryRun list',
    { preconditions },
  ),
  'apps/v1/Deployment': message('1 metadata meta, 2 spec deploymentSpec, 3 status empty', {
    meta,
    deploymentSpec,
    empty,
  }),
  'policy/v1/PodDisruptionBudget': message('1 metadata meta, 2 spec budgetSpec, 3 status status', {
    meta,
    budgetSpec,
    status: message('3 disruptionsAllowed int, 4 currentHealthy int, 5 desiredHealthy int, 6 expectedPods int'),
  }),
  'rbac.authorization.k8s.io/v1/Role': message('1 metadata meta, 2 rules list rule', { meta, rule }),
  'rbac.authorization.k8s.io/v1/ClusterRole': message('1 metadata meta, 2 rules list rule', { meta, rule }),
  'rbac.authorization.k8s.io/v1/RoleBinding': message('1 metadata meta, 2 subjects list subject, 3 roleRef reference', {
    meta,
    subject,
    reference,
  }),
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': message(
    '1 metadata meta, 2 subjects list subject, 3 roleRef reference',
    { meta, subject, reference },
  ),
  'authorization.k8s.io/v1/SelfSubjectAccessReview': message(
    '1 metadata meta, 2 spec reviewSpec, 3 status reviewStatus',
    { meta, reviewSpec, reviewStatus },
  ),
}

const ENVELOPE = message('1 typeMeta typeMeta, 2 raw bytes, 3 contentEncoding, 4 contentType', {
  typeMeta: message('1 apiVersion, 2 kind'),
})

function refused(): Error {
  return unsupportedMediaType(['application/json', 'application/yaml'])
}

/** An object of the runtime.Unknown envelope. @throws ApiError 400 for what is none, 415 for what these tables lack */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (body.subarray(0, 4).toString('latin1') !== 'k8s\0')
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  const { typeMeta, raw } = decode(body.subarray(4), ENVELOPE, 0) as {
    typeMeta?: { apiVersion?: string; kind?: string }
    raw?: string
  }
  const { apiVersion = '', kind = '' } = typeMeta ?? {}
  const known = KINDS[`${apiVersion}/${kind}`]
  if (!known) throw refused()
  return { apiVersion, kind, ...decode(Buffer.from(raw ?? '', 'base64'), known, 0) }
}

function decode(bytes: Buffer, fields: Message, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw refused()
  const result: JsonObject = {}
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw badRequest('unexpected EOF')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, value)
    }
    throw badRequest('proto: integer overflow')
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const field = fields[tag >> 3]
    const wire = tag & 7
    if (wire !== 0 && wire !== 2) throw refused()
    const number = varint()
    if (wire === 2 && number > bytes.length - at) throw badRequest('unexpected EOF')
    const content = wire === 2 ? bytes.subarray(at, at + Number(number)) : undefined
    if (content) at += content.length
    // Go writes zero values too; a field that says something which we cannot hold is refused.
    const zero = content ? content.length === 0 : number === 0n
    if (!field && !zero) throw refused()
    if (field) store(result, field, content ?? number, depth)
  }
  return result
}

function store(result: JsonObject, field: Field, content: Buffer | bigint, depth: number): void {
  if (field.map) {
    if (typeof content === 'bigint') throw refused()
    const entry = decode(
      content,
      { 1: { name: 'key', type: 'string' }, 2: { name: 'value', type: field.type } },
      depth + 1,
    )
    const map = (result[field.name] ?? {}) as JsonObject
    if (entry.key !== '__proto__') map[String(entry.key ?? '')] = entry.value ?? ''
    result[field.name] = map
    return
  }
  const value = decodeValue(field, content, depth)
  if (field.repeated) result[field.name] = [...((result[field.name] as Json[] | undefined) ?? []), value]
  else if (value !== '' && !(value === 0 && !field.pointer)) result[field.name] = value
}

function decodeValue({ type }: Field, content: Buffer | bigint, depth: number): Json {
  if (typeof content === 'bigint') {
    if (type === 'bool') return content !== 0n
    if (type === 'int') return Number(content)
    throw refused()
  }
  switch (type) {
    case 'string':
      return content.toString('utf8')
    case 'bytes':
      return content.toString('base64')
    case 'time': {
      const { seconds } = decode(content, message('1 seconds int, 2 nanos int'), depth + 1)
      return seconds ? new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z') : ''
    }
    case 'intOrString': {
      const {
        type: kind,
        number = 0,
        text = '',
      } = decode(content, message('1 type int, 2 number int, 3 text'), depth + 1)
      return kind === 1 ? text : number
    }
    case 'int':
    case 'bool':
      throw refused()
    default:
      return decode(content, type, depth + 1)
  }
}
