/**
 * Rotation of the keys of one domain and algorithm, as a pure step: a new key is published, once the world sees it mail
 * is signed with it, and the old one stays in DNS until what it signed has arrived everywhere (RFC 6376 §6.1.1, M3AAWG
 * "DKIM Key Rotation Best Common Practices").
 */

import type { KeyAlgorithm } from './keys.ts'

/** Publishing: in DNS, not signing. Active: signing. Retiring: in DNS for mail that is still on its way. */
export type KeyState = 'Publishing' | 'Active' | 'Retiring'

export interface RotatingKey {
  selector: string
  state: KeyState
  /** When it came into this state. */
  since: Date
}

export interface RotationRules {
  now: Date
  /** Age at which a key is replaced; undefined: only on request. */
  intervalMs: number | undefined
  /** Somebody wants it now. */
  requested: boolean
  /** Least time between publishing and signing: caches that know of no such record forget so. */
  publishMs: number
  /** How long a retired key stays in DNS. */
  graceMs: number
}

export interface RotationStep<K extends RotatingKey> {
  /** Keys in their states from now on. */
  keys: K[]
  /** A new key has to be made, as Publishing. */
  start: boolean
  /** Keys that are not needed any more; their records are withdrawn. */
  retired: K[]
}

/** @param isPublished what was found when the key's record was last looked up */
export function rotate<K extends RotatingKey>(
  keys: readonly K[],
  isPublished: (key: K) => boolean,
  rules: RotationRules,
): RotationStep<K> {
  const { now, intervalMs, requested, publishMs, graceMs } = rules
  const age = ({ since }: RotatingKey) => +now - +since
  const of = (state: KeyState) => keys.filter((key) => key.state === state)
  const [publishing] = of('Publishing')
  const retired = of('Retiring').filter((key) => age(key) >= graceMs)
  const left = keys.filter((key) => !retired.includes(key))
  if (publishing) {
    if (age(publishing) < publishMs || !isPublished(publishing)) return { keys: left, start: false, retired }
    const switched = left.map((key): K => {
      if (key === publishing) return { ...key, state: 'Active', since: now }
      return key.state === 'Active' ? { ...key, state: 'Retiring', since: now } : key
    })
    return { keys: switched, start: false, retired }
  }
  // An operator that ended in the middle of a switch leaves two that sign: the new one has signed the shortest.
  const newest = of('Active').reduce<K | undefined>((a, b) => (a && +a.since > +b.since ? a : b), undefined)
  const signing = left.map(
    (key): K => (key.state === 'Active' && key !== newest ? { ...key, state: 'Retiring', since: now } : key),
  )
  const old = newest !== undefined && intervalMs !== undefined && age(newest) >= intervalMs
  return { keys: signing, start: requested || old, retired }
}

/** "20261123", "20261123-ed25519": a DNS label that tells when the key was made, unlike every one in `taken`. */
export function datedSelector(algorithm: KeyAlgorithm, now: Date, taken: readonly string[]): string {
  const day = now.toISOString().slice(0, 10).replaceAll('-', '')
  const base = algorithm === 'rsa2048' ? day : `${day}-ed25519`
  for (let number = 1; ; number++) {
    const selector = number === 1 ? base : `${base}-${number}`
    if (!taken.includes(selector)) return selector
  }
}
