/** The server's side of `kubectl get`: meta.k8s.io/v1 Table, and the columns that a CRD declares. */
import type { Json, JsonObject, KubeObject } from './json.ts'
import { compileJsonPath } from './jsonpath.ts'
import type { Column } from './registry.ts'

export const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  value: (object) => object.metadata.name,
}

export const AGE: Column = {
  name: 'Age',
  type: 'string',
  description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
  value: (object, now) => age(object.metadata.creationTimestamp, now),
}

/** The time since then as kubectl prints it: `45s`, `3m20s`, `5h`, `12d`, `2y30d` (apimachinery duration.HumanDuration). */
export function age(since: Json | undefined, now: Date): string {
  const start = typeof since === 'string' ? Date.parse(since) : Number.NaN
  if (Number.isNaN(start)) return '<unknown>'
  const seconds = Math.floor((now.getTime() - start) / 1000)
  if (seconds < 0) return seconds < -1 ? '<invalid>' : '0s'
  if (seconds < 120) return `${seconds}s`
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86_400)]
  const pair = (big: number, unit: string, small: number, smallUnit: string) =>
    `${big}${unit}${small ? `${small}${smallUnit}` : ''}`
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return pair(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.floor(days / 365)
  return years < 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`
}

/** A column of a CRD's additionalPrinterColumns. A date is shown as the age it gives. */
export function printerColumn(spec: {
  name: string
  type: string
  jsonPath: string
  format?: string
  description?: string
  priority?: number
}): Column {
  const { jsonPath, ...head } = spec
  const read = compileJsonPath(jsonPath)
  return {
    ...head,
    value: (object, now) => {
      const found = read?.(object)
      if (found === undefined) return undefined
      if (spec.type === 'date') return age(found, now)
      if (spec.type === 'string') return typeof found === 'object' ? JSON.stringify(found) : String(found)
      return found
    },
  }
}

/** A CRD's columns; without any of its own it shows the age. */
export function customColumns(columns: Column[]): Column[] {
  return [NAME, ...(columns.length > 0 ? columns : [AGE])]
}

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** A Table of objects. `listMetadata` is the list's, or the single object's resourceVersion. */
export function tableOf(
  columns: Column[],
  objects: KubeObject[],
  listMetadata: JsonObject,
  include: IncludeObject,
  now: Date,
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetadata,
    columnDefinitions: columns.map(({ name, type, format = '', description = '', priority = 0 }) => ({
      name,
      type,
      format,
      description,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.value(object, now) ?? null),
      ...(include !== 'None' && { object: include === 'Object' ? object : partialMetadata(object) }),
    })),
  }
}

export function partialMetadata(object: KubeObject): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}
