/** Arguments that methods of several types share (RFC 8620 §5). */
import { z } from 'zod'
import type { CallContext } from './method.ts'
import { MethodError } from './wire/errors.ts'

/** RFC 8620 §1.2. */
export const id = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, 'must be an Id')
/** An Id, or '#' and the creation id of an object made before in the request. */
export const idOrReference = z.string().regex(/^#?[^\s#]{1,255}$/, 'must be an Id')
export const unsignedInt = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
export const int = z.number().int()
/** RFC 8620 §1.4. */
export const utcDate = z.iso.datetime().transform((text) => new Date(text))

export const getArguments = z.strictObject({
  accountId: id,
  ids: z.array(z.string().max(512)).nullish(),
  properties: z.array(z.string().max(512)).max(500).nullish(),
})

export const changesArguments = z.strictObject({
  accountId: id,
  sinceState: z.string().max(255),
  maxChanges: z.number().int().positive().nullish(),
})

export const queryFields = {
  accountId: id,
  position: int.default(0),
  anchor: id.nullish(),
  anchorOffset: int.default(0),
  limit: unsignedInt.nullish(),
  calculateTotal: z.boolean().default(false),
}

const objects = z.record(z.string().max(255), z.record(z.string(), z.unknown()))

export const setFields = {
  accountId: id,
  ifInState: z.string().nullish(),
  create: objects.nullish(),
  update: objects.nullish(),
  destroy: z.array(z.string().max(255)).nullish(),
}
export const setArguments = z.strictObject(setFields)

/**
 * The account a call is about: everybody has exactly one, their own.
 * @returns its id inside
 * @throws MethodError accountNotFound
 */
export function ownAccount(accountId: string, { account }: CallContext): string {
  if (accountId !== account.id) throw new MethodError('accountNotFound')
  return account.id
}

/** @throws MethodError requestTooLarge */
export function atMost(count: number, limit: number, what: string): void {
  if (count > limit) throw new MethodError('requestTooLarge', `at most ${limit} ${what}`)
}

/** The object with only the asked properties; `id` is always there (RFC 8620 §5.1). */
export function pick<T extends { id: string }>(
  object: T,
  properties: readonly string[] | null | undefined,
): Partial<T> {
  if (!properties) return object
  const picked: Partial<T> = { id: object.id } as Partial<T>
  for (const property of properties) {
    if (Object.hasOwn(object, property)) Reflect.set(picked, property, Reflect.get(object, property))
  }
  return picked
}

/** @throws MethodError invalidArguments naming the properties that there are not */
export function checkProperties(properties: readonly string[] | null | undefined, known: readonly string[]): void {
  const unknown = properties?.filter((property) => !known.includes(property)) ?? []
  if (unknown.length > 0)
    throw new MethodError('invalidArguments', `unknown properties: ${unknown.join(', ').slice(0, 500)}`)
}

/** Replaces '#creationId' by the id it got. @returns undefined when there is no such creation id */
export function resolveId(reference: string, { createdIds }: CallContext): string | undefined {
  return reference.startsWith('#') ? createdIds.get(reference.slice(1)) : reference
}
