/** The frame of every /set (RFC 8620 §5.3): each object on its own, creation ids, and what came of each. */
import { isDeepStrictEqual } from 'node:util'
import { atMost } from './arguments.ts'
import type { CallContext } from './method.ts'
import { MethodError, ObjectRefused, type SetError } from './wire/errors.ts'

export interface SetResponse {
  accountId: string
  oldState: string
  newState: string
  created: Record<string, object> | null
  updated: Record<string, object | null> | null
  destroyed: string[] | null
  notCreated: Record<string, SetError> | null
  notUpdated: Record<string, SetError> | null
  notDestroyed: Record<string, SetError> | null
}

export interface SetRequest {
  accountId: string
  ifInState?: string | null | undefined
  create?: Record<string, Record<string, unknown>> | null | undefined
  update?: Record<string, Record<string, unknown>> | null | undefined
  destroy?: string[] | null | undefined
}

export interface SetWork {
  state: () => Promise<string>
  /** @returns what the server chose, `id` among it. @throws ObjectRefused */
  create: (object: Record<string, unknown>, creationId: string) => Promise<{ id: string }>
  /** Patches by id, none twice. Per id: properties that changed beyond what was asked, or null, or the refusal. */
  update: (patches: Map<string, Record<string, unknown>>) => Promise<Map<string, object | null | ObjectRefused>>
  /** Per id, none twice: null, or the refusal. */
  destroy: (ids: string[]) => Promise<Map<string, null | ObjectRefused>>
  maxObjects: number
}

/** @throws MethodError stateMismatch, requestTooLarge; whatever else `work` throws beside ObjectRefused */
export async function runSet(request: SetRequest, context: CallContext, work: SetWork): Promise<SetResponse> {
  const create = Object.entries(request.create ?? {})
  const update = Object.entries(request.update ?? {})
  const destroy = request.destroy ?? []
  atMost(create.length + update.length + destroy.length, work.maxObjects, 'objects in one set')
  const oldState = await work.state()
  if (request.ifInState != null && request.ifInState !== oldState) throw new MethodError('stateMismatch')

  const created: Record<string, object> = {}
  const notCreated: Record<string, SetError> = {}
  for (const [creationId, object] of create) {
    await attempt(notCreated, creationId, async () => {
      const made = await work.create(object, creationId)
      context.createdIds.set(creationId, made.id)
      created[creationId] = made
    })
  }
  const updated: Record<string, object | null> = {}
  const notUpdated: Record<string, SetError> = {}
  const patches = new Map<string, Record<string, unknown>>()
  const keys = new Map<string, string>()
  for (const [key, patch] of update) {
    await attempt(notUpdated, key, async () => {
      const id = referenced(key, context)
      if (destroy.includes(key)) throw new ObjectRefused({ type: 'willDestroy' })
      patches.set(id, patch)
      keys.set(id, key)
    })
  }
  if (patches.size > 0) {
    for (const [id, outcome] of await work.update(patches)) {
      if (outcome instanceof ObjectRefused) notUpdated[keys.get(id) ?? id] = outcome.setError
      else updated[id] = outcome
    }
  }
  const destroyed: string[] = []
  const notDestroyed: Record<string, SetError> = {}
  const doomed = new Map<string, string>()
  for (const key of destroy) {
    await attempt(notDestroyed, key, async () => void doomed.set(referenced(key, context), key))
  }
  if (doomed.size > 0) {
    for (const [id, outcome] of await work.destroy([...doomed.keys()])) {
      if (outcome instanceof ObjectRefused) notDestroyed[doomed.get(id) ?? id] = outcome.setError
      else destroyed.push(id)
    }
  }
  return {
    accountId: request.accountId,
    oldState,
    newState: await work.state(),
    created: orNull(created),
    updated: orNull(updated),
    destroyed: destroyed.length > 0 ? destroyed : null,
    notCreated: orNull(notCreated),
    notUpdated: orNull(notUpdated),
    notDestroyed: orNull(notDestroyed),
  }
}

/**
 * The patch without those properties that the client may not set but gives as they are: a whole object is a patch too
 * (RFC 8620 §5.3).
 * @param fixed such properties by name, as the client was told of them
 */
export function withoutUnchanged(
  patch: Record<string, unknown>,
  fixed: Record<string, unknown>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(patch).filter(
      ([property, value]) => !(Object.hasOwn(fixed, property) && isDeepStrictEqual(value, fixed[property])),
    ),
  )
}

/** An `update` for types whose objects change one at a time. */
export function oneByOne<T>(work: (id: string, patch: Record<string, unknown>) => Promise<T>) {
  return async (patches: Map<string, Record<string, unknown>>): Promise<Map<string, T | ObjectRefused>> => {
    const outcomes = new Map<string, T | ObjectRefused>()
    for (const [id, patch] of patches) outcomes.set(id, await work(id, patch).catch(refusalOf))
    return outcomes
  }
}

/** A `destroy` of the same kind. */
export function eachOf(work: (id: string) => Promise<void>) {
  return async (ids: string[]): Promise<Map<string, null | ObjectRefused>> => {
    const outcomes = new Map<string, null | ObjectRefused>()
    for (const id of ids) {
      const done = work(id).then(() => null)
      outcomes.set(id, await done.catch(refusalOf))
    }
    return outcomes
  }
}

function refusalOf(error: unknown): ObjectRefused {
  if (error instanceof ObjectRefused) return error
  throw error
}

async function attempt(errors: Record<string, SetError>, key: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ObjectRefused)) throw error
    errors[key] = error.setError
  }
}

function referenced(key: string, { createdIds }: CallContext): string {
  const id = key.startsWith('#') ? createdIds.get(key.slice(1)) : key
  if (id === undefined) throw new ObjectRefused({ type: 'notFound' })
  return id
}

const orNull = <T>(map: Record<string, T>) => (Object.keys(map).length > 0 ? map : null)
