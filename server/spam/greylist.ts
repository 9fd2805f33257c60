/** Greylisting (RFC 6647): a stranger who comes back has a queue, and so is likely a mail server. Rows, shared by all replicas. */
import { createHash } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import type { SpamConfig } from '../config.ts'
import type { Database } from '../db/database.ts'

const PURGE_INTERVAL_MS = 600_000
const PURGE_ROWS = 10_000

export interface Greylist {
  /** @returns true when this triplet has come back late enough, or had done so before. @throws Unavailable */
  passes(clientAddress: string, reversePath: string, recipient: string): Promise<boolean>
}

/** IPv4 by /24 and IPv6 by /64: large senders retry from a neighbour (RFC 6647 §2.3). */
export function clientNetwork(address: string, ipv4Bits = 24): string {
  if (!ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  const bits = parsed.kind() === 'ipv4' ? ipv4Bits : 64
  const bytes = parsed
    .toByteArray()
    .map((byte, index) => byte & (0xff << Math.max(0, 8 - Math.max(0, bits - index * 8))) & 0xff)
  return `${ipaddr.fromByteArray(bytes)}/${bits}`
}

export function createGreylist(deps: {
  db: Database
  /** Read at each use. */
  config: () => SpamConfig['greylisting']
  now: () => Date
}): Greylist {
  const { db, config, now } = deps
  let purgedAt = 0
  return {
    async passes(clientAddress, reversePath, recipient) {
      const { delayMs, retryWindowMs, passForMs } = config()
      const at = +now()
      const triplet = createHash('sha256')
        .update([clientNetwork(clientAddress), reversePath.toLowerCase(), recipient.toLowerCase()].join('\0'))
        .digest()
      const [row] = await db.query<{ passed: boolean }>(
        `insert into greylist as g (triplet, first_attempt_at, expires_at) values ($1, $2, $4)
         on conflict (triplet) do update set
           first_attempt_at = case when g.expires_at <= $2 then $2 else g.first_attempt_at end,
           passed_at = case when g.expires_at <= $2 then null
                            when g.passed_at is not null or g.first_attempt_at <= $3 then $2 end,
           expires_at = case when g.expires_at <= $2 then $4
                             when g.passed_at is not null or g.first_attempt_at <= $3 then $5
                             else g.expires_at end
         returning passed_at is not null as passed`,
        [triplet, ...[at, at - delayMs, at + retryWindowMs, at + passForMs].map((ms) => new Date(ms))],
      )
      if (at - purgedAt > PURGE_INTERVAL_MS) {
        purgedAt = at
        await db.query(
          'delete from greylist where ctid in (select ctid from greylist where expires_at < $1 limit $2)',
          [new Date(at), PURGE_ROWS],
        )
      }
      return row?.passed === true
    },
  }
}
