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
  const quota = spec.quota === undefined ? undefined : quotaBytes(spec.quota)
  return {
    address: spec.address,
    aliases: spec.aliases,
    password,
    disabled: spec.disabled,
    ...(spec.displayName === undefined ? {} : { displayName: spec.displayName }),
    ...(quota === undefined ? {} : { quotaBytes: quota }),
  }
}

/**
 * Tells whether the engine knows this already. Keyed with the admin token: it stands in status, where it must not let
 * anybody try passwords.
 */
export function bodyHash(body: AccountBody, serverUid: string, token: string): string {
  return createHmac('sha256', token)
    .update(`${serverUid} ${canonicalHash(body)}`)
    .digest('hex')
    .slice(0, 24)
}

/** "12%" of a quota, else "3.4 MB". */
export function usageText(usedBytes: number, quota: number | undefined): string {
  if (quota !== undefined) return `${Math.round((usedBytes / quota) * 100)}%`
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  const power = Math.min(units.length - 1, usedBytes < 1 ? 0 : Math.floor(Math.log10(usedBytes) / 3))
  const amount = usedBytes / 1000 ** power
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`
}
