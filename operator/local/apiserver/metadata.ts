/** The rules of ObjectMeta: names, labels, finalizers, what a client may not change. k8s.io/apimachinery api/validation. */
import { equal, type KubeObject } from './json.ts'
import type { NameRule } from './registry.ts'
import { type Cause, cause } from './status-errors.ts'

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`
const LABEL_RULE = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL}')`
const SUBDOMAIN_RULE = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`
const QUALIFIED =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const LABEL_VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
const ANNOTATIONS_LIMIT = 256 * 1024

function nameCauses(name: string, rule: NameRule): Cause[] {
  const field = 'metadata.name'
  if (rule === 'path') {
    return /[/%]/.test(name) ? [cause.invalid(field, name, "may not contain '/' or '%'")] : []
  }
  const max = rule === 'label' ? 63 : 253
  const causes: Cause[] = []
  if (name.length > max) causes.push(cause.invalid(field, name, `must be no more than ${max} bytes`))
  const pattern = new RegExp(`^${rule === 'label' ? LABEL : SUBDOMAIN}$`)
  if (!pattern.test(name)) causes.push(cause.invalid(field, name, rule === 'label' ? LABEL_RULE : SUBDOMAIN_RULE))
  return causes
}

function qualifiedNameProblem(key: string): string | undefined {
  const [first = '', second, ...more] = key.split('/')
  const name = second ?? first
  if (more.length > 0) return 'a qualified name must consist of at most one slash'
  if (second !== undefined && !new RegExp(`^${SUBDOMAIN}$`).test(first)) return `prefix part ${SUBDOMAIN_RULE}`
  if (name.length > 63) return 'name part must be no more than 63 bytes'
  return /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name) ? undefined : QUALIFIED
}

export function metadataCauses(object: KubeObject, nameRule: NameRule): Cause[] {
  const { name, labels = {}, annotations = {}, finalizers = [], ownerReferences = [] } = object.metadata
  if (!name) return [cause.required('metadata.name', 'name or generateName is required')]
  const causes = nameCauses(name, nameRule)
  for (const [key, value] of Object.entries(labels)) {
    const problem = qualifiedNameProblem(key)
    if (problem) causes.push(cause.invalid('metadata.labels', key, problem))
    if (value.length > 63) causes.push(cause.invalid('metadata.labels', value, 'must be no more than 63 bytes'))
    if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value))
      causes.push(cause.invalid('metadata.labels', value, LABEL_VALUE))
  }
  for (const key of Object.keys(annotations)) {
    const problem = qualifiedNameProblem(key.toLowerCase())
    if (problem) causes.push(cause.invalid('metadata.annotations', key, problem))
  }
  const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (size > ANNOTATIONS_LIMIT) causes.push(cause.tooLong('metadata.annotations', ANNOTATIONS_LIMIT))
  for (const finalizer of finalizers) {
    const problem = qualifiedNameProblem(finalizer)
    if (problem) causes.push(cause.invalid('metadata.finalizers', finalizer, problem))
  }
  ownerReferences.forEach((owner, i) => {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[field]) continue
      causes.push(cause.invalid(`metadata.ownerReferences[${i}].${field}`, owner[field] ?? '', 'must not be empty'))
    }
  })
  const controllers = ownerReferences.filter((owner) => owner.controller)
  if (controllers.length > 1) {
    causes.push(
      cause.invalidOmitted(
        'metadata.ownerReferences',
        `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]?.name} and ${controllers[1]?.name}`,
      ),
    )
  }
  return causes
}

export function metadataUpdateCauses(object: KubeObject, old: KubeObject): Cause[] {
  const added = (object.metadata.finalizers ?? []).filter((name) => !old.metadata.finalizers?.includes(name))
  if (!old.metadata.deletionTimestamp || added.length === 0) return []
  const list = added.map((name) => JSON.stringify(name)).join(', ')
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`
  return [cause.forbidden('metadata.finalizers', why)]
}

/** Puts back what only the server writes. */
export function keepSystemMetadata(object: KubeObject, old: KubeObject): void {
  const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } = old.metadata
  const kept = { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation }
  object.metadata = { ...object.metadata, ...kept }
  for (const [key, value] of Object.entries(object.metadata)) {
    if (value === undefined) Reflect.deleteProperty(object.metadata, key)
  }
}

/** Whether the desired state differs: all but metadata and, where it is a subresource, status. */
export function desiredStateDiffers(a: KubeObject, b: KubeObject, hasStatus: boolean): boolean {
  const strip = ({ metadata: _metadata, apiVersion: _version, status, ...rest }: KubeObject) =>
    hasStatus ? rest : { ...rest, status }
  return !equal(strip(a), strip(b))
}
