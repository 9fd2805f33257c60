/** The loop of a MailAccount: its password exists, the engine knows it, and status says what the engine said. */

import { isDeepStrictEqual } from 'node:util'
import { API_VERSION, FINALIZER, MailAccountResource, PAUSED, STATUS_MANAGER } from '../api/group.ts'
import { type MailAccount, type MailAccountStatus, mailAccountSpec } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition } from '../kube/conditions.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { KubeClient, ObjectKey } from '../kube/types.ts'
import { accountBody, bodyHash, quotaBytes, usageText } from './account-body.ts'
import type { AccountAnswer, AdminApi } from './admin-api.ts'
import { accountConditions, accountEvent, type Finding } from './conditions.ts'
import { finalizeAccount } from './finalize.ts'
import { type PasswordDeps, passwordOf } from './password.ts'

export interface AccountDeps extends PasswordDeps {
  client: KubeClient
  account(key: ObjectKey): MailAccount | undefined
  server(key: ObjectKey): MailServer | undefined
  /** The engine of a server; undefined while no Pod of it is ready or its token is unknown. */
  engine(server: ObjectKey): Promise<{ api: AdminApi; token: string } | undefined>
  /** When the engine was last asked about an account; a rule of thumb that is lost with the process. */
  lastAsked: Map<string, number>
  events: Pick<EventRecorder, 'record'>
  now: () => Date
  random: () => number
}

/** Between looks at usage, and at whether the engine still knows the account. */
const REFRESH_MS = 15 * 60_000
const RETRY_MS = 10_000

/**
 * @returns milliseconds until the next look; undefined when a watch event will bring it
 * @throws KubeError: the work queue tries again
 */
export async function reconcileAccount(key: ObjectKey, deps: AccountDeps): Promise<number | undefined> {
  const account = deps.account(key)
  if (!account) return void deps.lastAsked.delete(`${key.namespace}/${key.name}`)
  if (account.metadata.deletionTimestamp) return finalizeAccount(account, deps)
  if (account.metadata.annotations?.[PAUSED] === 'true') return undefined

  const parsed = mailAccountSpec.safeParse(account.spec)
  if (!parsed.success) return tell(account, stalled('InvalidSpec', parsed.error.issues[0]?.message ?? ''), {}, deps)
  const spec = parsed.data
  if (spec.quota !== undefined && quotaBytes(spec.quota) === undefined) {
    return tell(account, stalled('InvalidSpec', `spec.quota: ${spec.quota} is not a positive quantity`), {}, deps)
  }
  const serverKey = { namespace: key.namespace, name: spec.serverRef.name }
  const server = deps.server(serverKey)
  if (!server || server.metadata.deletionTimestamp) {
    return tell(account, waiting('ServerMissing', `MailServer ${serverKey.name} does not exist`), {}, deps)
  }
  const domain = spec.address.split('@')[1] ?? ''
  if (!server.spec.domains.some(({ name }) => name === domain)) {
    const message = `MailServer ${serverKey.name} has no domain ${domain}`
    return tell(account, stalled('UnknownDomain', message), {}, deps)
  }
  await keepFinalizer(account, spec.deletionPolicy === 'Delete', deps)

  const password = await passwordOf(account, spec, deps)
  const told: MailAccountStatus = { address: spec.address, passwordSecretRef: password.ref }
  if ('missing' in password)
    return tell(account, { ...waiting('SecretMissing', password.missing), retryMs: RETRY_MS }, told, deps)

  const engine = await deps.engine(serverKey)
  const { status } = account
  const current = status?.observedGeneration === account.metadata.generation
  const ready = findCondition(status?.conditions, 'Ready')?.status === 'True'
  if (!engine) {
    // What the engine was told stays true while it restarts.
    if (current && ready) return undefined
    const message = `No Pod of MailServer ${serverKey.name} is ready yet`
    return tell(account, { ...waiting('ServerNotReady', message), retryMs: RETRY_MS }, told, deps)
  }
  const body = accountBody(spec, password.text)
  const appliedHash = bodyHash(body, server.metadata.uid ?? '', engine.token)
  const known = status?.appliedHash === appliedHash
  const wait = known ? untilRefresh(key, deps) : 0
  if (known && ready && current && wait > 0) return wait

  let answer: AccountAnswer = known ? await engine.api.get(spec.address) : { kind: 'absent' }
  if (answer.kind === 'absent') answer = await engine.api.put(body)
  if (answer.kind === 'ok') deps.lastAsked.set(`${key.namespace}/${key.name}`, +deps.now())
  const { usedBytes } = answer.kind === 'ok' ? answer : {}
  const usage = usedBytes === undefined ? {} : { usedBytes, usage: usageText(usedBytes, body.quotaBytes) }
  const hash = answer.kind === 'ok' ? { appliedHash } : {}
  return tell(account, findingOf(answer, serverKey.name), { ...told, ...usage, ...hash }, deps)
}

const waiting = (reason: string, message: string): Finding => ({ kind: 'waiting', reason, message })
const stalled = (reason: string, message: string): Finding => ({ kind: 'stalled', reason, message })

function findingOf(answer: AccountAnswer, server: string): Finding {
  switch (answer.kind) {
    case 'ok':
      return { kind: 'ready', reason: 'Applied', message: `MailServer ${server} has the account`, retryMs: REFRESH_MS }
    case 'refused':
      return { ...stalled(answer.reason, answer.message), retryMs: REFRESH_MS }
    case 'absent':
      return { ...waiting('Creating', 'the engine does not have the account yet'), retryMs: RETRY_MS }
    case 'unavailable':
      return { ...waiting('EngineUnavailable', `MailServer ${server}: ${answer.message}`), retryMs: RETRY_MS }
  }
}

/** How long the last answer is good for. After a restart a random share of the interval, so that all do not ask at once. */
function untilRefresh({ namespace, name }: ObjectKey, { lastAsked, now, random }: AccountDeps): number {
  const id = `${namespace}/${name}`
  const asked = lastAsked.get(id) ?? +now() - REFRESH_MS * random()
  lastAsked.set(id, asked)
  return asked + REFRESH_MS - +now()
}

/** Writes the status when it says something new. */
async function tell(
  account: MailAccount,
  finding: Finding,
  facts: MailAccountStatus,
  deps: AccountDeps,
): Promise<number | undefined> {
  const { name, namespace = '', generation = 0 } = account.metadata
  const before = account.status
  const conditions = accountConditions(before?.conditions, finding, generation, deps.now())
  const kept: MailAccountStatus = {}
  if (before?.usedBytes !== undefined) kept.usedBytes = before.usedBytes
  if (before?.usage !== undefined) kept.usage = before.usage
  // Also where the engine refused a change: what it was told before is still there, to be removed one day.
  if (before?.appliedHash !== undefined) kept.appliedHash = before.appliedHash
  if (before?.passwordSecretRef !== undefined) kept.passwordSecretRef = before.passwordSecretRef
  const status: MailAccountStatus = { ...kept, ...facts, observedGeneration: generation, conditions }
  if (!isDeepStrictEqual(status, before)) {
    const metadata = { name, namespace }
    const object = { apiVersion: API_VERSION, kind: MailAccountResource.kind, metadata, status }
    await deps.client.apply(MailAccountResource, object, { fieldManager: STATUS_MANAGER, subresource: 'status' })
    const event = accountEvent(before?.conditions, conditions)
    if (event) deps.events.record(account, event)
  }
  return finding.retryMs
}

async function keepFinalizer(account: MailAccount, wanted: boolean, { client }: AccountDeps): Promise<void> {
  const { name, namespace = '', finalizers = [], resourceVersion } = account.metadata
  if (finalizers.includes(FINALIZER) === wanted) return
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER)
  const metadata = { resourceVersion, finalizers: wanted ? [...others, FINALIZER] : others }
  await client.mergePatch(MailAccountResource, { namespace, name }, { metadata })
}
