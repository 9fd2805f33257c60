/**
 * Events (events.k8s.io/v1) about objects, written at transitions and correlated: the same statement about the same
 * object becomes one Event with a growing series, so that a loop cannot fill etcd.
 */

import { createHash } from 'node:crypto'
import { isKubeError } from './errors.ts'
import { microTime } from './leader-election.ts'
import { type KubeLogger, silentLogger } from './logger.ts'
import { Event } from './resources.ts'
import type { KubeClient, KubeObject, ObjectKey } from './types.ts'

export interface EventStatement {
  type: 'Normal' | 'Warning'
  /** CamelCase, for machines: "CertificateExpired". At most 128 bytes. */
  reason: string
  /** What the controller did or tried, CamelCase: "Reconcile". At most 128 bytes. */
  action: string
  /** For people; never a secret value. Cut at 1024 bytes, the API's limit. */
  note: string
  /** A second object that takes part. */
  related?: KubeObject
}

export interface EventRecorder {
  /** Returns at once and never throws: an Event is news, not state. */
  record(regarding: KubeObject, statement: EventStatement): void
  /** Waits for what is being written, and writes the series counts that are still to be told. */
  stop(): Promise<void>
}

export interface EventRecorderOptions {
  client: Pick<KubeClient, 'create' | 'mergePatch'>
  /** Qualified name: "mail.example.io/operator". */
  controller: string
  /** The process: its Pod's name. */
  instance: string
  logger?: KubeLogger
  now?: () => Date
}

/** Statements repeated within this time join the series; after it, a new Event. */
const WINDOW_MS = 10 * 60_000
/** A series is written at once when it begins, then at most this often. */
const SERIES_EVERY_MS = 60_000
/** Different notes of one reason about one object within the window; further ones join the last series. */
const MAX_NOTES = 10
/** Statements remembered, and writes under way; beyond, the oldest is forgotten and the newest dropped. */
const MAX_KNOWN = 2_048
const MAX_PENDING = 100

interface Known {
  key: ObjectKey
  count: number
  toldCount: number
  firstAt: number
  lastAt: number
  toldAt: number
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, controller, instance, logger = silentLogger } = options
  const now = options.now ?? (() => new Date())
  const known = new Map<string, Known>()
  const notes = new Map<string, { since: number; texts: string[] }>()
  const pending = new Set<Promise<void>>()
  /** Writes about one Event follow each other: a series must not overtake its Event. */
  const lastWrite = new Map<string, Promise<void>>()

  function record(regarding: KubeObject, statement: EventStatement): void {
    const time = now()
    const about = [regarding.metadata.uid ?? '', regarding.kind, regarding.metadata.namespace, regarding.metadata.name]
    const subject = JSON.stringify([...about, statement.type, statement.reason, statement.action])
    const note = knownNote(subject, statement.note, +time)
    const id = JSON.stringify([subject, note, statement.related?.metadata.uid])
    const seen = known.get(id)
    if (seen && +time - seen.firstAt < WINDOW_MS) {
      seen.count += 1
      seen.lastAt = +time
      if (seen.count === 2 || +time - seen.toldAt >= SERIES_EVERY_MS) tellSeries(id, seen)
      return
    }
    if (seen && seen.count > seen.toldCount) tellSeries(id, seen)
    const object = eventObject(regarding, { ...statement, note }, time)
    remember(id, {
      key: { namespace: object.metadata.namespace ?? '', name: object.metadata.name },
      count: 1,
      toldCount: 1,
      firstAt: +time,
      lastAt: +time,
      toldAt: +time,
    })
    write(id, async () => {
      await client.create(Event, object)
    })
  }

  /** The note to file the statement under: its own, or the newest known one when there are too many different. */
  function knownNote(subject: string, text: string, time: number): string {
    let entry = notes.get(subject)
    if (!entry || time - entry.since >= WINDOW_MS) {
      entry = { since: time, texts: [] }
      notes.delete(subject)
      notes.set(subject, entry)
      forgetOldest(notes)
    }
    if (entry.texts.includes(text)) return text
    const last = entry.texts.at(-1)
    if (last !== undefined && entry.texts.length >= MAX_NOTES) return last
    entry.texts.push(text)
    return text
  }

  function remember(id: string, entry: Known): void {
    known.delete(id)
    known.set(id, entry)
    forgetOldest(known)
  }

  function tellSeries(id: string, entry: Known): void {
    entry.toldAt = entry.lastAt
    entry.toldCount = entry.count
    const series = { count: entry.count, lastObservedTime: microTime(new Date(entry.lastAt)) }
    write(id, async () => {
      try {
        await client.mergePatch(Event, entry.key, { series })
      } catch (error) {
        if (!isKubeError(error, 'NotFound')) throw error
        known.delete(id) // events expire after an hour; the next statement makes a new one
      }
    })
  }

  function write(id: string, send: () => Promise<void>): void {
    if (pending.size >= MAX_PENDING) {
      logger.warn({ pending: pending.size }, 'events: too many at once, one dropped')
      return
    }
    const before = lastWrite.get(id)
    const done = (before ?? Promise.resolve()).then(send).catch((error: unknown) => {
      logger.warn({ err: error }, 'events: not written') // e.g. its namespace is being deleted
    })
    pending.add(done)
    lastWrite.set(id, done)
    void done.then(() => {
      pending.delete(done)
      if (lastWrite.get(id) === done) lastWrite.delete(id)
    })
  }

  function eventObject(regarding: KubeObject, statement: EventStatement, time: Date): KubeObject {
    const unique = createHash('sha256')
      .update(JSON.stringify([instance, regarding, statement, +time]))
      .digest('hex')
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        name: `${regarding.metadata.name.slice(0, 230)}.${unique.slice(0, 16)}`,
        // Events about cluster-scoped objects live in "default" (client-go tools/events).
        namespace: regarding.metadata.namespace ?? 'default',
      },
      eventTime: microTime(time),
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
      action: statement.action,
      reason: statement.reason,
      type: statement.type,
      note: cut(statement.note, 1024),
      regarding: referenceTo(regarding),
      ...(statement.related ? { related: referenceTo(statement.related) } : {}),
    }
  }

  return {
    record,
    async stop() {
      for (const [id, entry] of known) if (entry.count > entry.toldCount) tellSeries(id, entry)
      await Promise.all(pending)
    },
  }
}

function referenceTo(object: KubeObject): Record<string, string> {
  const { name, namespace, uid, resourceVersion } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace ? { namespace } : {}),
    ...(uid ? { uid } : {}),
    ...(resourceVersion ? { resourceVersion } : {}),
  }
}

function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  let kept = text.slice(0, bytes - 3)
  while (Buffer.byteLength(kept) > bytes - 3) kept = kept.slice(0, -1)
  return `${kept}…`
}

function forgetOldest(map: Map<string, unknown>): void {
  if (map.size <= MAX_KNOWN) return
  const oldest = map.keys().next()
  if (!oldest.done) map.delete(oldest.value)
}
