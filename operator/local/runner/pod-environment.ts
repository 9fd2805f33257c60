/** The environment of a container's process, from the Pod's spec and from what the runner puts in the network's place. */
import type { Container, EnvVar, Pod } from './objects.ts'
import { contentOf, hostPath, NotYet, type ObjectLookup } from './pod-files.ts'
import { terminationLogOf } from './termination.ts'

/** Of our own environment only what a program needs to run at all: the Pod's spec says the rest. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ']

export interface EnvironmentFacts {
  /** Directory that stands for the container's root. */
  root: string
  /** Container port name → port on 127.0.0.1. */
  ports: Record<string, number>
  lookup: ObjectLookup
  inherited: Record<string, string | undefined>
  /** Worker processes a Pod may use, when its spec does not say. */
  workers: number
}

/** @throws NotYet naming the Secret, ConfigMap or key that is missing */
export function environmentOf(pod: Pod, container: Container, facts: EnvironmentFacts): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of INHERITED) {
    const value = facts.inherited[name]
    if (value !== undefined) env[name] = value
  }
  env.MAIL_WORKERS = String(facts.workers)
  const given: Record<string, string> = {}
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, pod, facts.lookup)
    // $(NAME) refers to variables before it (core/v1 EnvVar.value).
    if (value !== undefined) given[variable.name] = value.replace(/\$\((\w+)\)/g, (all, name) => given[name] ?? all)
  }
  const mounts = (container.volumeMounts ?? []).map(({ mountPath }) => mountPath)
  for (const [name, value] of Object.entries(given))
    env[name] = isMounted(value, mounts) ? hostPath(facts.root, value) : value
  env.MAIL_LISTEN_ADDRESS = '127.0.0.1'
  env.MAIL_TERMINATION_LOG = terminationLogOf(container, facts.root)
  for (const [name, port] of Object.entries(facts.ports)) {
    env[`MAIL_PORT_${name.toUpperCase().replaceAll('-', '_')}`] = String(port)
  }
  return env
}

/** An absolute path at, above or below one of the mounts. */
function isMounted(value: string, mounts: readonly string[]): boolean {
  if (!/^\/[^/]/.test(value)) return false
  const path = value.replace(/\/+$/, '')
  return mounts.some((mount) => mount === path || mount.startsWith(`${path}/`) || path.startsWith(`${mount}/`))
}

function variableValue(variable: EnvVar, pod: Pod, lookup: ObjectLookup): string | undefined {
  const { value, valueFrom } = variable
  if (!valueFrom) return value ?? ''
  if (valueFrom.fieldRef) return fieldOf(pod, valueFrom.fieldRef.fieldPath)
  const reference = valueFrom.secretKeyRef ?? valueFrom.configMapKeyRef
  if (!reference) throw new NotYet(`env ${variable.name}: this kind of source does not exist here`)
  const kind = valueFrom.secretKeyRef ? 'secret' : 'configmap'
  const object = valueFrom.secretKeyRef ? lookup.secret(reference.name) : lookup.configMap(reference.name)
  const bytes = object && contentOf(object).get(reference.key)
  if (bytes) return bytes.toString('utf8')
  if (reference.optional) return undefined
  throw new NotYet(
    object
      ? `couldn't find key ${reference.key} in ${kind} ${reference.name}`
      : `${kind} "${reference.name}" not found`,
  )
}

/** The downward API's fields that make sense here. */
function fieldOf(pod: Pod, path: string): string {
  const { metadata, spec } = pod
  const fields: Record<string, string | undefined> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'status.podIP': '127.0.0.1',
    'status.hostIP': '127.0.0.1',
  }
  const labelled = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path)
  if (labelled) return metadata[labelled[1] === 'labels' ? 'labels' : 'annotations']?.[labelled[2] ?? ''] ?? ''
  const field = fields[path]
  if (field === undefined) throw new NotYet(`fieldPath ${path} does not exist here`)
  return field
}
