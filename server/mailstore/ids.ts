/** Ids as the protocols see them ('m12') and as the database keeps them (12). */

export type IdPrefix = 'a' | 'm' | 'e' | 't'

export function formatId(prefix: IdPrefix, id: number | string): string {
  return `${prefix}${id}`
}

/** The number in an id of ours; undefined for anything else a client made up. */
export function parseId(prefix: IdPrefix, id: string): number | undefined {
  if (id[0] !== prefix || !/^.[1-9]\d{0,15}$/.test(id)) return undefined
  const number = Number(id.slice(1))
  return Number.isSafeInteger(number) ? number : undefined
}

/** The numbers of those ids that are ours at all. */
export function parseIds(prefix: IdPrefix, ids: readonly string[]): number[] {
  return ids.map((id) => parseId(prefix, id)).filter((id) => id !== undefined)
}

/** @throws TypeError: account ids come from authentication, never from a client */
export function accountNumber(accountId: string): number {
  const id = parseId('a', accountId)
  if (id === undefined) throw new TypeError(`not an account id: ${accountId}`)
  return id
}
