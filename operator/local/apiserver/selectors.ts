/** Label selectors (equality and set based) and field selectors, in the syntax of k8s.io/apimachinery. */
import { at, type KubeObject, own } from './json.ts'
import { badRequest } from './status-errors.ts'

export type Requirement = {
  key: string
  operator: '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<'
  values: string[]
}

const KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/

/** `app=mail,tier in (a, b),!old`. @throws ApiError 400 in the words of labels.Parse */
export function parseLabelSelector(text: string): Requirement[] {
  return splitTop(text).map(parseRequirement)
}

/** Splits at commas outside parentheses. */
function splitTop(text: string): string[] {
  if (!text.trim()) return []
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth += 1
    if (text[i] === ')') depth -= 1
    if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  parts.push(text.slice(start))
  return parts.map((part) => part.trim())
}

function parseRequirement(part: string): Requirement {
  const inSet = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part)
  if (inSet) {
    const [, key = '', operator, values = ''] = inSet
    return checked(
      { key, operator: operator === 'in' ? 'in' : 'notin', values: values.split(',').map((v) => v.trim()) },
      part,
    )
  }
  const binary = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*([^=!<>\s]*)$/.exec(part)
  if (binary) {
    const [, key = '', sign, value = ''] = binary
    const operator = sign === '!=' ? '!=' : sign === '>' ? '>' : sign === '<' ? '<' : '='
    return checked({ key, operator, values: [value] }, part)
  }
  const unary = /^(!?)\s*(\S+)$/.exec(part)
  if (unary) return checked({ key: unary[2] ?? '', operator: unary[1] ? '!' : 'exists', values: [] }, part)
  const [, operator = '', next = ''] = part.split(/\s+/)
  const found = operator === 'in' || operator === 'notin' ? next : operator
  throw badRequest(`unable to parse requirement: found '${found}' expected: '('`)
}

function checked(requirement: Requirement, part: string): Requirement {
  if (!KEY.test(requirement.key)) {
    const rule =
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    throw badRequest(`unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(requirement.key)}: ${rule}`)
  }
  for (const value of requirement.values) {
    if (VALUE.test(value) && value.length <= 63) continue
    throw badRequest(
      `unable to parse requirement: values[0][${requirement.key}]: Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (in '${part}')`,
    )
  }
  return requirement
}

export function matchesLabels(requirements: Requirement[], labels: { [key: string]: string } | undefined): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = own(labels, key)
    switch (operator) {
      case 'exists':
        return value !== undefined
      case '!':
        return value === undefined
      case '=':
      case 'in':
        return value !== undefined && values.includes(value)
      case '!=':
      case 'notin':
        return value === undefined || !values.includes(value)
      case '>':
        return value !== undefined && Number(value) > Number(values[0])
      default:
        return value !== undefined && Number(value) < Number(values[0])
    }
  })
}

export type FieldRequirement = { path: string; equals: boolean; value: string }

/** `metadata.name=a,status.phase!=Running`. @throws ApiError 400 for a field outside `supported` */
export function parseFieldSelector(text: string, supported: string[]): FieldRequirement[] {
  return splitTop(text).map((part) => {
    const match = /^([^=!]+)(!=|==|=)(.*)$/.exec(part)
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
    const [, path = '', sign, value = ''] = match
    if (path !== 'metadata.name' && path !== 'metadata.namespace' && !supported.includes(path)) {
      const only = ['metadata.name', 'metadata.namespace'].map((field) => JSON.stringify(field)).join(', ')
      throw badRequest(
        supported.length > 0
          ? `field label not supported: ${path}`
          : `${JSON.stringify(path)} is not a known field selector: only ${only}`,
      )
    }
    return { path, equals: sign !== '!=', value }
  })
}

export function matchesFields(requirements: FieldRequirement[], object: KubeObject): boolean {
  return requirements.every(({ path, equals, value }) => {
    const found = at(object, ...path.split('.'))
    return (String(found ?? '') === value) === equals
  })
}
