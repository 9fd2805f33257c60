/** DKIMReady, and status.dkim: which keys there are, and what the steps of a rotation wait for. Pure. */

import { ROTATE_DKIM } from '../../api/group.ts'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { DkimKeyStatus, DnsRecordStatus } from '../../api/mail-server-status.ts'
import type { DkimKey } from '../desired/context.ts'
import { type DkimKeys, GRACE_MS } from '../dkim-keys.ts'
import { MINUTE_MS, ok, type Statement, waiting } from './statement.ts'

/** A rotation that waits for DNS longer than this will not come to an end by itself. */
const PATIENCE_MS = 7 * 86_400_000
const MAX_FOUND = 200
/** Keys in a message; the rest is counted. */
const SHOWN = 5

export interface DkimFacts {
  spec: MailServerSpec
  keys: Pick<DkimKeys, 'dkimKeys' | 'dkimTrouble'>
  /** What was last found of the keys' records, among others. */
  records: readonly DnsRecordStatus[]
  /** A rotation is asked for and has not begun. */
  requested: boolean
  now: Date
}

export function dkimStatement(facts: DkimFacts): Statement {
  const { dkimTrouble } = facts.keys
  const essential = dkimTrouble.find(({ domain }) => !isSigned(domain, facts))
  if (essential) return waiting('DKIMReady', 'KeyUnusable', essential.text, { terminal: true })
  const rotation = rotationStatement(facts)
  if (dkimTrouble.length === 0) return rotation
  const message = `Left out: ${list(dkimTrouble, ({ text }) => text)}. ${rotation.message}`
  return { ...rotation, status: 'False', reason: 'KeyLeftOut', message }
}

/** A key of each algorithm signs what the domain sends: not every receiver knows both. */
function isSigned(domain: string, { spec, keys }: DkimFacts): boolean {
  const active = keys.dkimKeys.filter((key) => key.domain === domain && key.state === 'Active')
  return spec.dkim.algorithms.every((wanted) => active.some(({ algorithm }) => algorithm === wanted))
}

/** Of the keys that can be used. */
function rotationStatement({ spec, keys, records, requested, now }: DkimFacts): Statement {
  const coming = keys.dkimKeys.filter(({ state }) => state === 'Publishing')
  if (coming.length > 0 && !spec.dns.verify) {
    const message = `spec.dns.verify is off, so nothing tells when DNS shows ${list(coming, recordName)}; mail is signed with the keys before`
    return ok('DKIMReady', 'RotationNotVerified', message)
  }
  const unseen = coming.filter((key) => shownAs(key, records)?.state !== 'Published')
  if (unseen.length > 0) {
    const message = `Waiting for DNS to show ${list(unseen, (key) => `${recordName(key)} (since ${key.since}; ${lookUp(key, records)})`)}`
    const late = unseen.some(({ since }) => +now - Date.parse(since) >= PATIENCE_MS)
    return { ...ok('DKIMReady', late ? 'RotationOverdue' : 'Rotating', message), pollMs: MINUTE_MS }
  }
  if (coming.length > 0) {
    const message = `In DNS, and signing soon: ${list(coming, (key) => `${recordName(key)} (from ${signsFrom(key, spec)})`)}`
    return { ...ok('DKIMReady', 'Rotating', message), pollMs: MINUTE_MS }
  }
  if (requested && !spec.dns.verify) {
    const message = `A rotation was asked for (annotation ${ROTATE_DKIM}) and needs spec.dns.verify: no key is made before`
    return ok('DKIMReady', 'RotationNotVerified', message)
  }
  const active = keys.dkimKeys.filter(({ state }) => state === 'Active')
  return ok('DKIMReady', 'KeysReady', `${active.length} keys are in use`)
}

/** status.dkim.keys. */
export function dkimKeyStatus(
  { domain, selector, algorithm, secretName, state, since, ...key }: DkimKey,
  spec: MailServerSpec,
  records: readonly DnsRecordStatus[],
): DkimKeyStatus {
  const waitsFor = waitOf({ domain, selector, algorithm, secretName, state, since, ...key }, spec, records)
  return { domain, selector, algorithm, secretName, state, since, ...(waitsFor ? { waitsFor } : {}) }
}

function waitOf(key: DkimKey, spec: MailServerSpec, records: readonly DnsRecordStatus[]): string | undefined {
  if (key.state === 'Active') return undefined
  if (key.state === 'Retiring') return `mail on its way, until ${after(key, GRACE_MS)}`
  if (!spec.dns.verify) return 'spec.dns.verify, which is off'
  if (shownAs(key, records)?.state !== 'Published') return `DNS to show its record; ${lookUp(key, records)}`
  return `resolvers to forget that there was no record, until ${signsFrom(key, spec)}`
}

function list<T>(all: readonly T[], say: (one: T) => string): string {
  const more = all.length > SHOWN ? ` and ${all.length - SHOWN} more` : ''
  return `${all.slice(0, SHOWN).map(say).join(', ')}${more}`
}

const recordName = ({ domain, selector }: DkimKey) => `${selector}._domainkey.${domain}`
const signsFrom = (key: DkimKey, { dns }: MailServerSpec) => after(key, dns.ttlSeconds * 1000)
const after = ({ since }: DkimKey, ms: number) =>
  new Date(Date.parse(since) + ms).toISOString().replace(/\.\d{3}Z$/, 'Z')

function shownAs(key: DkimKey, records: readonly DnsRecordStatus[]): DnsRecordStatus | undefined {
  return records.find(({ name, value }) => name === recordName(key) && value === key.txt)
}

/** What the last look-up found: which name server lacks the record, where the resolvers have it. */
function lookUp(key: DkimKey, records: readonly DnsRecordStatus[]): string {
  const record = shownAs(key, records)
  if (!record || (record.state === 'Unknown' && !record.found)) return 'not looked up yet'
  return record.found?.slice(0, MAX_FOUND) ?? 'the resolvers do not find it'
}
