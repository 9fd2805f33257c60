/**
 * Sets of field paths and their fieldsV1 form (k8s.io/apimachinery FieldsV1; sigs.k8s.io/structured-merge-diff
 * fieldpath). A path element is its serialized text: `f:name`, `k:{"name":"a"}`, `v:"item"`, `i:0`.
 */
import { isObject, type Json, type JsonObject } from '../json.ts'
import { propertySchema, type Schema } from '../schema.ts'

export type Path = string[]

export class FieldSet {
  readonly members = new Set<string>()
  readonly children = new Map<string, FieldSet>()

  static fromFieldsV1(fields: Json | undefined): FieldSet {
    const set = new FieldSet()
    if (!isObject(fields)) return set
    for (const [element, below] of Object.entries(fields)) {
      if (element === '.') continue
      const empty = !isObject(below) || Object.keys(below).length === 0
      if (empty || (isObject(below) && '.' in below)) set.members.add(element)
      if (!empty) {
        const child = FieldSet.fromFieldsV1(below)
        if (!child.empty) set.children.set(element, child)
      }
    }
    return set
  }

  toFieldsV1(): JsonObject {
    const result: JsonObject = {}
    for (const element of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const below = this.children.get(element)?.toFieldsV1() ?? {}
      result[element] = this.members.has(element) && Object.keys(below).length > 0 ? { '.': {}, ...below } : below
    }
    return result
  }

  get empty(): boolean {
    return this.members.size === 0 && [...this.children.values()].every((child) => child.empty)
  }

  insert(path: Path): void {
    const [head, ...rest] = path
    if (head === undefined) return
    if (rest.length === 0) this.members.add(head)
    else this.#child(head).insert(rest)
  }

  has(path: Path): boolean {
    const [head, ...rest] = path
    if (head === undefined) return false
    return rest.length === 0 ? this.members.has(head) : (this.children.get(head)?.has(rest) ?? false)
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine || theirs)
  }

  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine && !theirs)
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine && theirs)
  }

  /** Without the other's members and all that lies below them. */
  without(other: FieldSet): FieldSet {
    const result = new FieldSet()
    for (const element of this.members) if (!other.members.has(element)) result.members.add(element)
    for (const [element, child] of this.children) {
      if (other.members.has(element)) continue
      const below = other.children.get(element)
      const rest = below ? child.without(below) : child
      if (!rest.empty) result.children.set(element, rest)
    }
    return result
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).empty && other.difference(this).empty
  }

  paths(prefix: Path = []): Path[] {
    const own = [...this.members].map((element) => [...prefix, element])
    const below = [...this.children].flatMap(([element, child]) => child.paths([...prefix, element]))
    return [...own, ...below]
  }

  /** Struct fields on the way to a member become members: a struct that lost all its owned fields goes too. */
  ensureNamedFieldsAreMembers(schema: Schema | undefined): FieldSet {
    const result = new FieldSet()
    for (const element of this.members) result.members.add(element)
    for (const [element, child] of this.children) {
      const name = element.slice(2)
      if (element.startsWith('f:') && schema?.properties && Object.hasOwn(schema.properties, name)) {
        result.members.add(element)
      }
      const below = element.startsWith('f:') ? schema && propertySchema(schema, name) : schema?.items
      result.children.set(element, child.ensureNamedFieldsAreMembers(below))
    }
    return result
  }

  #child(element: string): FieldSet {
    const child = this.children.get(element) ?? new FieldSet()
    this.children.set(element, child)
    return child
  }

  #combine(other: FieldSet, keep: (mine: boolean, theirs: boolean) => boolean): FieldSet {
    const result = new FieldSet()
    for (const element of new Set([...this.members, ...other.members])) {
      if (keep(this.members.has(element), other.members.has(element))) result.members.add(element)
    }
    for (const element of new Set([...this.children.keys(), ...other.children.keys()])) {
      const mine = this.children.get(element) ?? new FieldSet()
      const child = mine.#combine(other.children.get(element) ?? new FieldSet(), keep)
      if (!child.empty) result.children.set(element, child)
    }
    return result
  }
}

/** `.spec.containers[name="a"].image`, as structured-merge-diff prints a path. */
export function pathText(path: Path): string {
  return path.map(elementText).join('')
}

function elementText(element: string): string {
  const text = element.slice(2)
  if (element.startsWith('f:')) return `.${text}`
  if (element.startsWith('v:')) return `[=${text}]`
  if (element.startsWith('i:')) return `[${text}]`
  const keys: unknown = JSON.parse(text)
  return `[${Object.entries(keys ?? {})
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`
}
