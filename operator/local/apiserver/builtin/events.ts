/** events.k8s.io/v1 Event: another view of the core group's events. */
import type { KubeObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import { atomic, integer, type Schema, string, struct, time, topLevel } from '../schema.ts'

export const objectReference = atomic(
  struct({
    kind: string,
    namespace: string,
    name: string,
    uid: string,
    apiVersion: string,
    resourceVersion: string,
    fieldPath: string,
  }),
)

export const event: Schema = topLevel(
  {
    eventTime: time,
    series: struct({ count: integer, lastObservedTime: time }),
    reportingController: string,
    reportingInstance: string,
    action: string,
    reason: string,
    regarding: objectReference,
    related: objectReference,
    note: string,
    type: string,
    deprecatedSource: struct({ component: string, host: string }),
    deprecatedFirstTimestamp: time,
    deprecatedLastTimestamp: time,
    deprecatedCount: integer,
  },
  'Event is a report of an event somewhere in the cluster.',
)

const EVENT_NAMES: [string, string][] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
]

function renamed(object: KubeObject, names: [string, string][]): KubeObject {
  const result = { ...object }
  for (const [from, to] of names) {
    if (result[from] === undefined) continue
    result[to] = result[from]
    delete result[from]
  }
  return result
}

/** events.k8s.io/v1 and core/v1 are two views of the same events, stored as core/v1. */
export const eventHooks: Hooks = {
  // Go writes times of core/v1 that are not there as null; kubectl's --sort-by=.lastTimestamp needs the field.
  toStored: (object) => ({
    firstTimestamp: null,
    lastTimestamp: null,
    ...renamed(object, EVENT_NAMES),
    apiVersion: 'v1',
  }),
  fromStored: (object) =>
    renamed(
      object,
      EVENT_NAMES.map(([from, to]) => [to, from]),
    ),
}
