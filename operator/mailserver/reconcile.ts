/**
 * The loop of a MailServer on one screen: look, plan, act, tell. Every step reads what is, not what happened, so it is
 * safe twice, late and half-done; what it waits for outside of the API is looked at beside it (background-checks.ts).
 */

import { MailServerResource, OPERATOR, RECONCILE_AT, ROTATE_DKIM, SKIP_PREFLIGHT } from '../api/group.ts'
import { InvalidSpec } from '../api/invalid-spec.ts'
import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { STATUS_LIMITS } from '../api/mail-server-status.ts'
import { isCondition } from '../kube/conditions.ts'
import { TerminalError } from '../kube/errors.ts'
import { saysFailing } from '../kube/failing.ts'
import { keyText, type ObjectKey } from '../kube/types.ts'
import { act } from './act.ts'
import type { Carried } from './carry-out.ts'
import { judge, type Trouble } from './conditions.ts'
import { configProblem } from './config-problem.ts'
import { databaseUrl } from './database-url.ts'
import { authorityStatement, certificateStatement, servedCertificate } from './dependencies/certificate.ts'
import { databaseStatement } from './dependencies/database.ts'
import { dkimStatement } from './dependencies/dkim.ts'
import { dnsStatement, recordStates, tlsaWanted } from './dependencies/dns.ts'
import { domainsStatement } from './dependencies/domains.ts'
import { engineStatement, networkStatement, rolloutStatement, startHeldUpBy } from './dependencies/engine.ts'
import { integrationStatements } from './dependencies/integrations.ts'
import { spamRulesStatement } from './dependencies/spam-rules.ts'
import { bucketWishes, storageStatement } from './dependencies/storage.ts'
import type { DesiredContext } from './desired/context.ts'
import { recordsOf } from './desired/dns-endpoint.ts'
import { databaseName, poolerName } from './desired/names.ts'
import { preflightJob } from './desired/preflight.ts'
import type { RotationFacts } from './dkim-keys.ts'
import { type TakenName, takenText } from './domain-index.ts'
import { finalize, keepFinalizer } from './finalize.ts'
import { freeNames } from './free-names.ts'
import { idFor, idOf } from './kinds.ts'
import { ensureMaterial, type Material, readMaterial } from './material.ts'
import { type Observed, observe, s3Endpoint } from './observe.ts'
import { NameTaken } from './ownership.ts'
import { pauseOf } from './pause.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { statusOf } from './status.ts'
import { tellFailure, tellTrouble, writeStatus } from './tell.ts'
import { runningImage, type Upgrade, upgradeOf, wantedImage } from './upgrade.ts'

/**
 * Moves the cluster toward the desired state of one MailServer.
 * @param failures how often in a row this has thrown: from the second time on the status says so
 * @returns milliseconds until the next look; undefined when a watch event will bring it
 * @throws KubeError: the work queue tries again with back-off, nothing here does
 * @throws TerminalError for what only a change can mend
 */
export async function reconcileMailServer(
  key: ObjectKey,
  deps: ReconcileDeps,
  signal?: AbortSignal,
  failures = 0,
): Promise<number | undefined> {
  const server = deps.written.newest(key, deps.caches.server(key))
  const isHeld = server !== undefined && (await deps.claims.heldBy(server)) !== undefined
  if (!server || isHeld || server.metadata.deletionTimestamp) {
    deps.buckets.forget(key)
    deps.dns.forget(key)
    deps.caches.gateways.forget(key)
    deps.upgradeTurns.release(key)
    deps.accepted.forget(key)
    if (isHeld) return HELD_MS
    if (server) return finalize(server, deps, signal)
    deps.claims.forget(key)
    deps.cleanups.delete(keyText(key))
    deps.bucketAccess.delete(keyText(key))
    return undefined
  }
  // A hiccup is no news; and what is said already stays said until a try succeeds.
  const tellsFailures = failures > 0 || saysFailing(server.status?.conditions)
  try {
    return await bringAbout(await claimed(server, deps), tellsFailures, deps)
  } catch (error) {
    // Nobody waits for who cannot go on; a rollout that is on its way is seen without a turn.
    deps.upgradeTurns.release(key)
    if (tellsFailures && !(error instanceof TerminalError)) await tellFailure(key, error, deps)
    throw error
  }
}

/** With the resourceVersion: of two who find it unclaimed one gets a Conflict. */
async function claimed(server: MailServer, { claims, client, written }: ReconcileDeps): Promise<MailServer> {
  const { name, namespace = '', resourceVersion, annotations } = server.metadata
  if (claims.mark === undefined || annotations?.[OPERATOR] === claims.mark) return server
  const metadata = { resourceVersion, annotations: { [OPERATOR]: claims.mark } }
  const after = await client.mergePatch<MailServer>(MailServerResource, { namespace, name }, { metadata })
  written.wrote(server, after)
  return after
}

/** Of a MailServer that is there to stay. */
async function bringAbout(
  server: MailServer,
  tellsFailures: boolean,
  deps: ReconcileDeps,
): Promise<number | undefined> {
  const spec = specOf(server)
  if (spec instanceof InvalidSpec) {
    return keepAsItWas(server, { reason: 'InvalidSpec', message: spec.message }, tellsFailures, deps)
  }
  const taken = deps.domains.taken(server)
  if (taken.length > 0 && deps.domains.exclusive) {
    const message = takenText(taken, server.metadata.namespace ?? '')
    return keepAsItWas(server, { reason: 'DomainTaken', message }, tellsFailures, deps)
  }
  if (!pauseOf(server)) {
    deps.domains.hold(server)
    deps.accepted.accept(server)
  }
  return carryThrough(server, { spec, shared: taken }, tellsFailures, deps)
}

/** What is to be so. */
interface Wish {
  spec: MailServerSpec
  /** Why it is the last valid one, and not what the MailServer says now. */
  unusable?: Trouble
  /** Names that another MailServer has too. */
  shared?: readonly TakenName[]
}

/** A spec that cannot be used changes nothing; what the last one asked for is kept as it should be. */
async function keepAsItWas(
  server: MailServer,
  unusable: Trouble,
  tellsFailures: boolean,
  deps: ReconcileDeps,
): Promise<number | undefined> {
  const spec = pauseOf(server) ? undefined : deps.accepted.of(server)
  if (!spec) return giveUp(server, unusable, deps)
  return carryThrough(server, { spec, unusable }, tellsFailures, deps)
}

async function carryThrough(
  server: MailServer,
  { spec, unusable, shared = [] }: Wish,
  tellsFailures: boolean,
  deps: ReconcileDeps,
): Promise<number | undefined> {
  const key = { namespace: server.metadata.namespace ?? '', name: server.metadata.name }
  const observed = await observe(server, spec, deps)
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, key.name))
  const images = { rendered: server.status?.image, running: runningImage(deployment) }
  const wanted = wantedImage(spec.image, images, deps.engineImage)
  if (!wanted) return giveUp(server, NO_IMAGE, deps)
  const pause = pauseOf(server)
  const paused = pause !== undefined
  const generation = pause?.generation ?? server.metadata.generation ?? 0
  const named = { server: { ...key, uid: server.metadata.uid ?? '' }, spec }
  const free = paused ? new Set<string>() : await freeNames(named, observed, deps.client)
  if (free instanceof NameTaken) return refuseName(server, free, deps)
  if (!paused) await keepFinalizer(server, spec, deps)

  const rotation = rotationFacts(server)
  const material = paused
    ? readMaterial(named, observed.children)
    : await ensureMaterial(named, observed.children, { ...rotation, addresses: observed.addresses }, deps).catch(
        nameTaken,
      )
  if (material instanceof NameTaken) return refuseName(server, material, deps)
  const tlsa = tlsaWanted(spec, servedCertificate(observed, material.certificate), server.status?.dns?.records)
  const wish = server.metadata.annotations?.[RECONCILE_AT]
  // Whoever cannot go on with an upgrade must not hold up the others.
  const upgrade: Upgrade =
    paused || unusable
      ? { image: images.rendered ?? images.running ?? wanted, job: undefined, turnOver: true }
      : upgradeOf({
          ...images,
          wanted,
          skipPreflight: server.metadata.annotations?.[SKIP_PREFLIGHT],
          takeTurn: () => deps.upgradeTurns.take(key),
          preflight() {
            const desired = preflightJob(contextOf(named, observed, material, { image: wanted, tlsa }), wish)
            return { desired, live: observed.children.get(idOf(desired)) }
          },
          previous: server.status?.conditions,
          now: deps.now(),
        })
  const context = contextOf(named, observed, material, { image: upgrade.image, tlsa })
  const problem = configProblem(context)
  if (problem) return giveUp(server, unusable ?? { reason: 'InvalidSpec', message: problem }, deps)

  const previous = server.status?.conditions
  const untilMended = unusable && {
    reason: unusable.reason,
    message: `${unusable.message}. The last valid spec stays in force`,
  }
  const domains = domainsStatement(shared, key.namespace)
  const wishes = bucketWishes(spec, observed)
  if (spec.deletionPolicy !== 'Delete') deps.bucketAccess.delete(keyText(key))
  else if (wishes) deps.bucketAccess.set(keyText(key), wishes)
  const bucket = wishes
    ? deps.buckets.latest(key, wishes, { wish, known: isCondition(previous, 'StorageReady', 'True') })
    : undefined
  const question = { records: recordsOf(spec, context.facts), resolvers: spec.dns.resolvers }
  const verified = spec.dns.verify
    ? deps.dns.latest(key, question, { wish, known: server.status?.dns !== undefined })
    : []
  const records = recordStates(question.records, verified, server.status?.dns?.records)
  const needed = [
    databaseStatement(spec, observed),
    storageStatement(spec, observed, bucket, previous),
    authorityStatement(material.authorityTrouble) ??
      certificateStatement(spec, observed, material.certificate, deps.now()),
    dkimStatement({ spec, keys: material, records, requested: rotation.requested, now: deps.now() }),
  ]

  const blocked = startHeldUpBy(needed, servedCertificate(observed, material.certificate), previous)
  const carried = paused
    ? NOTHING
    : await act({ context, observed, material, blocked, free, preflight: upgrade.job }, deps.client)
  if (carried.failure && !tellsFailures) throw carried.failure
  for (const object of carried.applied) observed.children.set(idOf(object), object)
  const rollout = rolloutStatement(observed)
  // Nor does anybody wait for one that is refused what it needs (a quota, a policy): it is tried again in a minute.
  if ((upgrade.turnOver && rollout.over) || carried.refusals.length > 0) deps.upgradeTurns.release(key)
  const { conditions, lookAgainMs } = judge({
    generation,
    previous,
    statements: [
      ...needed,
      engineStatement(observed, blocked, previous),
      networkStatement(spec, observed),
      dnsStatement(spec, observed, records),
      ...integrationStatements(spec, observed),
      ...(domains ? [domains] : []),
      ...(spec.spam.rules.length > 0 ? [spamRulesStatement(deps.spamRuleMistakes(spec.spam.rules))] : []),
    ],
    trouble: untilMended ?? carried.refusals[0] ?? upgrade.trouble ?? rollout.trouble,
    progress: upgrade.progress ?? rollout.progress,
    failure: carried.failure?.message,
    paused: pause?.message,
    now: deps.now(),
  })
  // A rotation that cannot begin now stays asked for.
  const rotationRequest =
    rotation.requested && (paused || !spec.dns.verify)
      ? server.status?.dkim?.rotationRequest
      : rotationRequestOf(server)
  const { image } = upgrade
  const facts = {
    server,
    generation,
    spec,
    observed,
    material,
    records,
    image,
    conditions,
    rotationRequest,
    now: deps.now(),
    hasAccount: deps.hasAccount(key),
  }
  const told = await writeStatus(server, statusOf(facts), deps)
  if (carried.failure) throw carried.failure
  const holdsAnew = told.status?.storage?.since !== server.status?.storage?.since
  return earliest(
    lookAgainMs,
    upgrade.pollMs,
    carried.refusals.length > 0 ? REFUSED_MS : undefined,
    holdsAnew ? HOLDS_ANEW_MS : undefined,
  )
}

const NOTHING: Carried = { applied: [], removed: [], refusals: [], failure: undefined }
/** Whether another operator that has a MailServer is still there is looked at after this: longer than a Lease lasts. */
const HELD_MS = 20_000
/** A refused object is offered again after this: a policy or a right may have changed. */
const REFUSED_MS = 60_000
/** A bucket that has begun to hold mail, or does not any more, is asked about as such from the next look on. */
const HOLDS_ANEW_MS = 100
const NO_IMAGE: Trouble = {
  reason: 'NoImage',
  message: 'spec.image is not given and the operator was started without ENGINE_IMAGE',
}

/** Only a change of a MailServer helps, which is heard of: told, and not tried again. */
async function giveUp(server: MailServer, trouble: Trouble, deps: ReconcileDeps): Promise<never> {
  await tellTrouble(server, trouble, deps)
  throw new TerminalError(`${trouble.reason}: ${trouble.message}`)
}

/** Looked at again, because nothing tells when the name is free. */
async function refuseName(server: MailServer, taken: NameTaken, deps: ReconcileDeps): Promise<number> {
  deps.upgradeTurns.release({ namespace: server.metadata.namespace ?? '', name: server.metadata.name })
  await tellTrouble(server, { reason: taken.name, message: taken.message }, deps)
  return REFUSED_MS
}

function earliest(...looks: (number | undefined)[]): number | undefined {
  const known = looks.filter((ms) => ms !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

function specOf(server: MailServer): MailServerSpec | InvalidSpec {
  try {
    return parseMailServerSpec(server.spec)
  } catch (error) {
    if (error instanceof InvalidSpec) return error
    throw error
  }
}

function contextOf(
  named: Pick<DesiredContext, 'server' | 'spec'>,
  observed: Observed,
  material: Material,
  { image, tlsa }: Pick<DesiredContext['facts'], 'image' | 'tlsa'>,
): DesiredContext {
  return {
    ...named,
    facts: {
      image,
      tlsa,
      addresses: observed.addresses,
      webAddresses: observed.webAddresses,
      dkimKeys: material.dkimKeys,
      certificates: observed.certificates,
      cluster: observed.children.get(idFor({ kind: 'Cluster' }, databaseName(named.server.name))),
      lostCluster: observed.lostCluster,
      pooler: observed.children.has(idFor({ kind: 'Pooler' }, poolerName(named.server.name))),
      databaseUrl: databaseUrl(named.spec, observed),
      s3Endpoint: s3Endpoint(named.spec, observed),
      restartSecret: material.adminToken,
      served: observed.served,
    },
  }
}

/** As much of the annotation as the status can hold. */
const rotationRequestOf = ({ metadata }: MailServer): string | undefined =>
  metadata.annotations?.[ROTATE_DKIM]?.slice(0, STATUS_LIMITS.rotationRequest)

function rotationFacts(server: MailServer): RotationFacts {
  const { status } = server
  const request = rotationRequestOf(server)
  const published = new Set(
    status?.dns?.records?.filter(({ state }) => state === 'Published').map(({ name, value }) => `${name} ${value}`),
  )
  return {
    // Not acted on before the first status: a server that is new has new keys.
    requested: request !== undefined && status?.dkim !== undefined && request !== status.dkim.rotationRequest,
    secretNames: (status?.dkim?.keys ?? []).map(({ secretName }) => secretName),
    isPublished: ({ domain, selector, txt }) => published.has(`${selector}._domainkey.${domain} ${txt}`),
  }
}

function nameTaken(error: unknown): NameTaken {
  if (error instanceof NameTaken) return error
  throw error
}
