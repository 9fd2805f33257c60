/**
 * The objects, their one rising revision, and the bounded history that watches read. On disk: one append-only file of
 * JSON lines, rewritten when it has grown far past the live objects. A line is written before the change is seen, so a
 * reader never saw what a restart would forget; a torn last line is one that nobody was told of.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { KubeObject } from './json.ts'

/** One write. `object` is the new state (for a deletion the last one, with the revision of the deletion). */
export type Change = {
  revision: number
  bucket: string
  key: string
  object: KubeObject
  previous?: KubeObject
  deleted: boolean
}

type Line = { r: number; b: string; k: string; o?: KubeObject }

const HISTORY_LIMIT = 10_000
const COMPACT_AFTER_LINES = 20_000

export class Storage {
  #revision = 1
  #oldest = 1
  #buckets = new Map<string, Map<string, KubeObject>>()
  #history: Change[] = []
  #listeners = new Set<(change: Change) => void>()
  #path: string | undefined
  #file: number | undefined
  #lines = 0

  /** @param dir where `objects.jsonl` lies (created); undefined keeps everything in memory */
  constructor(dir?: string) {
    if (dir === undefined) return
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    this.#path = join(dir, 'objects.jsonl')
    if (existsSync(this.#path)) this.#load(this.#path)
    this.#compact()
  }

  get revision(): number {
    return this.#revision
  }

  /** Watches can start at this revision or later. */
  get oldestRevision(): number {
    return this.#oldest
  }

  get(bucket: string, key: string): KubeObject | undefined {
    return this.#buckets.get(bucket)?.get(key)
  }

  /** All objects of a bucket, or of one namespace in it, in the order of their keys. */
  list(bucket: string, namespace = ''): KubeObject[] {
    return sorted(this.#buckets.get(bucket) ?? new Map(), namespace)
  }

  /** The same as it was at a revision that the history still reaches. */
  listAt(revision: number, bucket: string, namespace = ''): KubeObject[] {
    if (revision >= this.#revision) return this.list(bucket, namespace)
    const objects = new Map(this.#buckets.get(bucket))
    for (const change of this.changesSince(bucket, revision).reverse()) {
      if (change.previous) objects.set(change.key, change.previous)
      else objects.delete(change.key)
    }
    return sorted(objects, namespace)
  }

  *all(): Generator<{ bucket: string; key: string; object: KubeObject }> {
    for (const [bucket, objects] of this.#buckets) for (const [key, object] of objects) yield { bucket, key, object }
  }

  /** Stores the object under the next revision, which becomes its resourceVersion. @returns what was stored */
  put(bucket: string, key: string, object: KubeObject): KubeObject {
    const revision = this.#revision + 1
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
    this.#append({ r: revision, b: bucket, k: key, o: stored })
    this.#apply({ revision, bucket, key, object: stored, deleted: false })
    return stored
  }

  delete(bucket: string, key: string): KubeObject | undefined {
    const object = this.get(bucket, key)
    if (!object) return undefined
    const revision = this.#revision + 1
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
    this.#append({ r: revision, b: bucket, k: key })
    this.#apply({ revision, bucket, key, object: last, deleted: true })
    return last
  }

  /** Changes of a bucket after a revision, oldest first. Ask `oldestRevision` first. */
  changesSince(bucket: string, revision: number): Change[] {
    return this.#history.filter((change) => change.revision > revision && change.bucket === bucket)
  }

  /** Calls back after every write until the returned function is called. Listeners must not write. */
  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    this.#path = undefined
  }

  #apply(change: Omit<Change, 'previous'>): void {
    const objects = this.#buckets.get(change.bucket) ?? new Map<string, KubeObject>()
    this.#buckets.set(change.bucket, objects)
    const previous = objects.get(change.key)
    if (change.deleted) objects.delete(change.key)
    else objects.set(change.key, change.object)
    this.#revision = change.revision
    const full = previous ? { ...change, previous } : change
    this.#history.push(full)
    if (this.#history.length > HISTORY_LIMIT * 1.1) {
      this.#history = this.#history.slice(-HISTORY_LIMIT)
      this.#oldest = (this.#history[0]?.revision ?? this.#revision) - 1
    }
    for (const listener of this.#listeners) listener(full)
  }

  #append(line: Line): void {
    if (this.#file === undefined) return
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
    this.#lines += 1
    if (this.#lines > COMPACT_AFTER_LINES) queueMicrotask(() => this.#lines > COMPACT_AFTER_LINES && this.#compact())
  }

  #load(path: string): void {
    for (const text of readFileSync(path, 'utf8').split('\n')) {
      const line = parseLine(text)
      if (!line) continue
      const object = line.o ?? this.get(line.b, line.k)
      if (object) this.#apply({ revision: line.r, bucket: line.b, key: line.k, object, deleted: !line.o })
      else this.#revision = Math.max(this.#revision, line.r)
    }
    this.#oldest = this.#revision
    this.#history = []
  }

  /** Writes the live objects to a new file and puts it in the old one's place in one step. */
  #compact(): void {
    if (this.#path === undefined) return
    const lines: Line[] = [...this.all()]
      .map(({ bucket, key, object }) => ({ r: Number(object.metadata.resourceVersion), b: bucket, k: key, o: object }))
      .sort((a, b) => a.r - b.r)
    lines.push({ r: this.#revision, b: '', k: '' })
    if (this.#file !== undefined) closeSync(this.#file)
    writeFileSync(`${this.#path}.new`, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 })
    renameSync(`${this.#path}.new`, this.#path)
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#lines = 0
  }
}

function sorted(objects: Map<string, KubeObject>, namespace: string): KubeObject[] {
  const prefix = namespace && `${namespace}/`
  const found = [...objects].filter(([key]) => key.startsWith(prefix))
  return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
}

function parseLine(text: string): Line | undefined {
  if (!text) return undefined
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}
