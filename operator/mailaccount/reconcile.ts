/** The loop of a MailAccount: its password exists, the engine knows it, and status says what the engine said. */

import { durationMs } from '../api/duration.ts'
import { FINALIZER, MailAccountResource, PAUSED, RECONCILE_AT } from '../api/group.ts'
import { InvalidSpec } from '../api/invalid-spec.ts'
import { type MailAccount, type MailAccountStatus, parseMailAccountSpec } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition, isCondition } from '../kube/conditions.ts'
import type { EventRecorder } from '../kube/events.ts'
import { saysFailing } from '../kube/failing.ts'
import type { LastWritten } from '../kube/last-written.ts'
import { type KubeClient, keyText, type ObjectKey } from '../kube/types.ts'
import { accountBody, bodyHash, usageText } from './account-body.ts'
import { type AccountIndex, isBefore, serverOf } from './account-index.ts'
import type { AccountAnswer, AdminApi } from './admin-api.ts'
import type { Finding } from './conditions.ts'
import { finalizeAccount } from './finalize.ts'
import { generatedSecretName, type PasswordDeps, passwordOf } from './password.ts'
import { tell, tellFailure } from './status.ts'

export interface AccountDeps extends PasswordDeps {
  client: KubeClient
  account(key: ObjectKey): MailAccount | undefined
  server(key: ObjectKey): MailServer | undefined
  /** True when another installation of the operator looks after it, and so after its accounts. */
  isForeign(server: MailServer): boolean
  rivals: AccountIndex['rivals']
  written: LastWritten<MailAccount>
  /** The engine of a server; undefined while its token is unknown, without `api` while no Pod of it is ready. */
  engine(server: ObjectKey): Promise<{ api?: AdminApi; token: string; database: string } | undefined>
  /** By namespace/name when the engine was last asked about an account, and the wish it was asked by; lost with the process. */
  lastAsked: Map<string, { at: number; wish: string | undefined }>
  events: Pick<EventRecorder, 'record'>
  random: () => number
}

/** Between looks at usage, at a password of the user's, and at whether the engine still knows the account. */
const REFRESH_MS = 10 * 60_000
/** The first look again at what no event tells of. */
const POLL_MS = 10_000
/** An account that is due while its engine is away. */
const AWAY_MS = 60_000

/** What an account waits for longer than this, somebody has to look at. */
const PATIENCE_MS = 15 * 60_000
/** Beyond the time that a server's database may take: its engines have twelve minutes before it is Stalled itself. */
const ENGINES_MS = 20 * 60_000

/**
 * @param failures how often in a row this has thrown: from the second time on the status says so
 * @returns milliseconds until the next look; undefined when a watch event will bring it
 * @throws KubeError: the work queue tries again
 */
export async function reconcileAccount(key: ObjectKey, deps: AccountDeps, failures = 0): Promise<number | undefined> {
  const account = deps.written.newest(key, deps.account(key))
  if (!account) return forget(key, deps)
  // A hiccup is no news; and what is said already stays said until a try succeeds.
  const tellsFailures = failures > 0 || saysFailing(account.status?.conditions)
  try {
    const server = deps.server(serverOf(account))
    if (server && deps.isForeign(server)) return undefined // once it is ours its change brings us back
    return account.metadata.deletionTimestamp ? await finalizeAccount(account, deps) : await bringAbout(account, deps)
  } catch (error) {
    // As it is now: the try may have written before it failed.
    const newest = deps.written.newest(key, deps.account(key))
    if (newest && tellsFailures) await tellFailure(newest, error, deps)
    throw error
  }
}

/** Of a MailAccount that is there to stay. */
async function bringAbout(account: MailAccount, deps: AccountDeps): Promise<number | undefined> {
  const { namespace = '' } = account.metadata
  const spec = specOf(account)
  if (spec instanceof InvalidSpec) return tell(account, stalled('InvalidSpec', spec.message), {}, deps)
  if (account.metadata.annotations?.[PAUSED] === 'true') return tell(account, PAUSE, {}, deps)

  const serverKey = { namespace, name: spec.serverRef.name }
  const server = deps.server(serverKey)
  if (!server || server.metadata.deletionTimestamp) return tell(account, serverless(account), {}, deps)
  const foreign = foreignAddress(spec, server)
  if (foreign) {
    const message = `${foreign.field}: MailServer ${serverKey.name} has no domain ${foreign.domain}`
    return tell(account, stalled('UnknownDomain', message), {}, deps)
  }
  const holder = deps
    .rivals(account, [spec.address])
    .find((rival) => rival.spec.address === spec.address && isBefore(rival, account))
  if (holder) {
    const message = `MailAccount ${holder.metadata.name} has the address ${spec.address}`
    return tell(account, stalled('AddressTaken', message), {}, deps)
  }
  return apply(await withFinalizer(account, deps), spec, server, deps)
}

/** What is remembered of an account that is gone. */
function forget({ namespace, name }: ObjectKey, { lastAsked, generated }: AccountDeps): undefined {
  lastAsked.delete(keyText({ namespace, name }))
  generated.delete(keyText({ namespace, name: generatedSecretName(name) }))
}

type Spec = MailAccount['spec']

function specOf({ spec }: MailAccount): Spec | InvalidSpec {
  try {
    return parseMailAccountSpec(spec)
  } catch (error) {
    if (error instanceof InvalidSpec) return error
    throw error
  }
}

/** The first of its addresses that is at no domain of the server. */
function foreignAddress({ address, aliases }: Spec, server: MailServer): { field: string; domain: string } | undefined {
  const ours = new Set(server.spec.domains.map(({ name }) => name))
  const fields = [['spec.address', address], ...aliases.map((alias, index) => [`spec.aliases[${index}]`, alias])]
  return fields
    .map(([field = '', text = '']) => ({ field, domain: text.slice(text.indexOf('@') + 1) }))
    .find(({ domain }) => !ours.has(domain))
}

/** Tells the engine of an account that is as it should be, where it does not know. */
async function apply(
  account: MailAccount,
  spec: Spec,
  server: MailServer,
  deps: AccountDeps,
): Promise<number | undefined> {
  const { namespace = '', name, generation } = account.metadata
  const { status } = account
  const serverKey = { namespace, name: server.metadata.name }
  const engine = await deps.engine(serverKey)
  const hashOf = (password: string) =>
    engine && bodyHash(accountBody(spec, password), `${server.metadata.uid} ${engine.database}`, engine.token)
  const applied =
    isCondition(status?.conditions, 'Ready', 'True', generation) &&
    findCondition(status?.conditions, 'Ready')?.reason === 'Applied'
  const wait = untilRefresh(account, deps)
  const told = status?.appliedHash ?? ''
  const fresh =
    applied && !saysFailing(status?.conditions) && wait > 0 && told.startsWith(hashOf('')?.withoutPassword ?? '')
  // A foreign Secret costs a request, so it is read only when something else is due.
  if (fresh && spec.passwordSecretRef) return wait

  const password = await passwordOf(account, spec, deps)
  const facts: MailAccountStatus = { address: spec.address, passwordSecretRef: password.ref }
  if ('reason' in password) return tell(account, polled(password.reason, password.message), facts, deps)
  const appliedHash = hashOf(password.text)?.whole ?? ''
  const known = told === appliedHash
  if (!engine?.api) {
    // What the engine was told stays true while it restarts.
    if (applied && (known || !engine)) {
      return tell(account, { ...has(serverKey.name), retryMs: Math.max(wait, AWAY_MS) }, {}, deps)
    }
    const message = `No Pod of MailServer ${serverKey.name} is ready yet`
    return tell(account, { ...polled('ServerNotReady', message), deadlineMs: startMs(server) }, facts, deps)
  }
  if (known && fresh) return wait

  const body = accountBody(spec, password.text)
  let answer: AccountAnswer = known ? await engine.api.get(spec.address) : { kind: 'absent' }
  if (answer.kind === 'absent') answer = await engine.api.put(body)
  const finding = findingOf(answer, server.metadata.name, deps.rivals(account))
  if (answer.kind !== 'ok') return tell(account, finding, facts, deps)
  // Spread, so that accounts that were made together are not asked about together for ever.
  const at = +deps.now() - REFRESH_MS * 0.2 * deps.random()
  deps.lastAsked.set(keyText({ namespace, name }), { at, wish: account.metadata.annotations?.[RECONCILE_AT] })
  const usage = usageText(answer.usedBytes, body.quotaBytes)
  // A status write for each mail of each account would be a storm: the bytes follow when their reading changes.
  const used = usage === status?.usage ? {} : { usage, usedBytes: answer.usedBytes }
  return tell(account, { ...finding, retryMs: at + REFRESH_MS - +deps.now() }, { ...facts, ...used, appliedHash }, deps)
}

const waiting = (reason: string, message: string): Finding => ({
  kind: 'waiting',
  reason,
  message,
  deadlineMs: PATIENCE_MS,
})
const polled = (reason: string, message: string): Finding => ({ ...waiting(reason, message), pollMs: POLL_MS })
const stalled = (reason: string, message: string): Finding => ({ kind: 'stalled', reason, message })
const has = (server: string): Finding => ({
  kind: 'ready',
  reason: 'Applied',
  message: `MailServer ${server} has the account`,
})
const PAUSE: Finding = {
  kind: 'paused',
  reason: 'Paused',
  message: 'Annotation mail.openova.io/paused: the operator changes nothing',
}

/** Before its server has come an account waits for it; afterwards it is left alone, and keeps what is known of it. */
function serverless({ spec, status }: MailAccount): Finding {
  const { name } = spec.serverRef
  if (status?.appliedHash === undefined) return waiting('ServerMissing', `MailServer ${name} does not exist`)
  return stalled('Orphaned', `MailServer ${name}, which had the account, is gone; a new one of that name will get it`)
}

function findingOf(answer: AccountAnswer, server: string, rivals: readonly MailAccount[]): Finding {
  switch (answer.kind) {
    case 'ok':
      return has(server)
    case 'refused': {
      // Whoever gives the address up brings us back; where nobody is known to have it, the engine is asked again.
      const taken = answer.reason === 'AddressTaken' ? rivals : []
      const names = taken.map(({ metadata }) => metadata.name).sort()
      const again = names.length > 0 ? { retryMs: REFRESH_MS } : { pollMs: POLL_MS }
      const claimed = names.length > 0 ? `; claimed by MailAccount ${names.join(', ')}` : ''
      return { ...stalled(answer.reason, `${answer.message}${claimed}`), ...again }
    }
    case 'absent':
      return polled('Creating', 'the engine does not have the account yet')
    case 'unavailable':
      return polled('EngineUnavailable', `MailServer ${server}: ${answer.message}`)
  }
}

/** How long a server may take until its first engine answers. */
function startMs({ spec }: MailServer): number {
  return (durationMs(spec.database.cnpg?.readyTimeout ?? '') ?? 0) + ENGINES_MS
}

/** How long the last answer is good for. After a restart a random share of the interval, so that all do not ask at once. */
function untilRefresh({ metadata }: MailAccount, { lastAsked, now, random }: AccountDeps): number {
  const id = keyText({ namespace: metadata.namespace ?? '', name: metadata.name })
  const wish = metadata.annotations?.[RECONCILE_AT]
  const known = lastAsked.get(id) ?? { at: +now() - REFRESH_MS * random(), wish }
  const at = known.wish === wish ? known.at : Number.NEGATIVE_INFINITY
  lastAsked.set(id, { at, wish })
  return at + REFRESH_MS - +now()
}

/** The account with the finalizer: whatever its deletionPolicy, the engine is told of its end. */
async function withFinalizer(account: MailAccount, { client, written }: AccountDeps): Promise<MailAccount> {
  const { name, namespace = '', finalizers = [], resourceVersion } = account.metadata
  if (finalizers.includes(FINALIZER)) return account
  const metadata = { resourceVersion, finalizers: [...finalizers, FINALIZER] }
  const after = await client.mergePatch<MailAccount>(MailAccountResource, { namespace, name }, { metadata })
  written.wrote(account, after)
  return after
}
