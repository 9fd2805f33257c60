/** What the engine is told of a MailAccount. Pure. */

import { createHmac } from 'node:crypto'
import type { MailAccountSpec } from '../api/mail-account.ts'
import { canonicalHash } from '../kube/apply-if-changed.ts'
import { quantityNanos } from '../kube/quantity.ts'
import type { AccountBody } from './admin-api.ts'

/** @returns undefined for a quota that is no quantity or not positive */
export function quotaBytes(quota: string | number): number | undefined {
  const nanos = quantityNanos(quota)
  if (nanos === undefined || nanos <= 0n) return undefined
  const bytes = Number(nanos / 1_000_000_000n)
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}

export function accountBody(spec: MailAccountSpec, password: string): AccountBody {
  return { ...lasting(spec), aliases: spec.aliases, password, disabled: spec.disabled }
}

/** Of an account that outlives its MailAccount: nobody logs in, others may have its aliases, and its password stays. */
export function retainedBody(account: Lasting): AccountBody {
  return { ...account, aliases: [], disabled: true }
}

/** What does not end with its MailAccount. */
export type Lasting = Pick<AccountBody, 'address' | 'displayName' | 'quotaBytes'>

export function lasting(spec: MailAccountSpec): Lasting {
  const quota = spec.quota === undefined ? undefined : quotaBytes(spec.quota)
  return {
    address: spec.address,
    ...(spec.displayName === undefined ? {} : { displayName: spec.displayName }),
    ...(quota === undefined ? {} : { quotaBytes: quota }),
  }
}

/** status.appliedHash: what the engine was told last. */
export interface BodyHash {
  /** Begins with `withoutPassword`. */
  whole: string
  /** Of everything but the password: enough to see that nothing else changed, without reading a Secret. */
  withoutPassword: string
}

/**
 * Keyed with the admin token: it stands in status, where it must not let anybody try passwords.
 * @param engine which server it is with which database: what another was told is nothing
 */
export function bodyHash(body: AccountBody, engine: string, token: string): BodyHash {
  const of = (part: unknown) =>
    createHmac('sha256', token)
      .update(`${engine} ${canonicalHash(part)}`)
      .digest('hex')
      .slice(0, 24)
  const { password, ...rest } = body
  const withoutPassword = `${of(rest)}.`
  return { withoutPassword, whole: `${withoutPassword}${of(body)}` }
}

/** "12%" of a quota, else "3.4 MB". */
export function usageText(usedBytes: number, quota: number | undefined): string {
  if (quota !== undefined) return `${Math.round((usedBytes / quota) * 100)}%`
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  const power = Math.min(units.length - 1, usedBytes < 1 ? 0 : Math.floor(Math.log10(usedBytes) / 3))
  const amount = usedBytes / 1000 ** power
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`
}
