/**
 * The loop of a MailServer on one screen: look, plan, act, tell. Every step reads what is, not what happened, so it is
 * safe twice, late and half-done; what it waits for outside of the API is looked at beside it (background-checks.ts).
 */

import { isDeepStrictEqual } from 'node:util'
import { API_VERSION, MailServerResource, PAUSED, RECONCILE_AT, ROTATE_DKIM, STATUS_MANAGER } from '../api/group.ts'
import { InvalidSpec, type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import type { MailServerStatus } from '../api/mail-server-status.ts'
import { type KubeClient, keyText, type ObjectKey } from '../kube/types.ts'
import { type Carried, carryOut, type Refusal } from './carry-out.ts'
import { judge, sortedConditions, type Trouble } from './conditions.ts'
import { certificateStatement } from './dependencies/certificate.ts'
import { databaseStatement } from './dependencies/database.ts'
import { dnsStatement, recordStates } from './dependencies/dns.ts'
import { engineStatement, networkStatement, rolloutOf } from './dependencies/engine.ts'
import { integrationStatements } from './dependencies/integrations.ts'
import { MINUTE_MS, ok, type Statement, waiting } from './dependencies/statement.ts'
import { bucketWishes, storageStatement } from './dependencies/storage.ts'
import type { DesiredContext, DkimKey } from './desired/context.ts'
import { recordsOf } from './desired/dns-endpoint.ts'
import { tlsSecretName } from './desired/names.ts'
import { desiredObjects } from './desired/objects.ts'
import type { RotationFacts } from './dkim-keys.ts'
import { finalize, keepFinalizer } from './finalize.ts'
import { idFor, idOf } from './kinds.ts'
import { ensureMaterial, type Material, readMaterial } from './material.ts'
import { databaseUrl, type Observed, observe, s3Endpoint, webAddresses } from './observe.ts'
import { planChanges } from './plan.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'
import { imageOf, statusOf } from './status.ts'
import { transitions } from './transitions.ts'

/**
 * Moves the cluster toward the desired state of one MailServer.
 * @returns milliseconds until the next look; undefined when a watch event will bring it
 * @throws KubeError: the work queue tries again with back-off, nothing here does
 */
export async function reconcileMailServer(
  key: ObjectKey,
  deps: ReconcileDeps,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const server = newestServer(key, deps)
  if (!server || server.metadata.deletionTimestamp) {
    deps.buckets.forget(key)
    deps.dns.forget(key)
    return server ? finalize(server, deps, signal) : undefined
  }
  const spec = specOf(server)
  if (spec instanceof InvalidSpec) return tellTrouble(server, { reason: 'InvalidSpec', message: spec.message }, deps)

  const observed = await observe(server, spec, deps)
  const image = imageOf(server, spec, observed, deps.engineImage)
  if (!image) return tellTrouble(server, NO_IMAGE, deps)
  const paused = server.metadata.annotations?.[PAUSED] === 'true'
  if (!paused) await keepFinalizer(server, spec, deps)

  const named = { server: { ...key, uid: server.metadata.uid ?? '' }, spec }
  const material = paused
    ? readMaterial(named, observed.children)
    : await ensureMaterial(named, observed.children, { ...rotationFacts(server), addresses: observed.addresses }, deps)
  const context = contextOf(named, observed, material, image)

  const previous = server.status?.conditions
  const wishes = bucketWishes(spec, observed)
  const wish = server.metadata.annotations?.[RECONCILE_AT]
  const bucket = wishes ? deps.buckets.latest(key, wishes, wish) : undefined
  const needed = [
    databaseStatement(spec, observed),
    storageStatement(spec, observed, bucket, previous),
    certificateStatement(spec, observed, material.certificate, deps.now()),
    dkimStatement(material),
  ]

  const blocked = needed.filter(({ status }) => status !== 'True')
  const carried = paused ? NOTHING : await act(context, observed, material, blocked, deps)
  for (const object of carried.applied) observed.children.set(idOf(object), object)

  const wanted = recordsOf(spec, context.facts)
  const verified = spec.dns.verify ? deps.dns.latest(key, { records: wanted, resolvers: spec.dns.resolvers }, wish) : []
  const records = recordStates(wanted, verified, server.status?.dns?.records)
  const deployment = observed.children.get(idFor({ kind: 'Deployment' }, key.name))
  const rollout = deployment ? rolloutOf(deployment) : undefined
  const { conditions, lookAgainMs } = judge({
    generation: server.metadata.generation ?? 0,
    previous,
    statements: [
      ...needed,
      engineStatement(observed, blocked, previous),
      networkStatement(spec, observed),
      dnsStatement(spec, observed, records),
      ...integrationStatements(spec, observed),
    ],
    trouble: troubleOf(carried.refusals),
    progress:
      rollout && !rollout.done
        ? `Deployment ${key.name}: ${rollout.updated} of ${rollout.desired} replicas are up to date`
        : undefined,
    paused,
    now: deps.now(),
  })
  await writeStatus(server, statusOf({ server, spec, observed, material, records, image, conditions }), deps)
  return carried.refusals.length > 0 ? REFUSED_MS : lookAgainMs
}

const NOTHING: Carried = { applied: [], removed: [], refusals: [] }
/** A refused object is offered again after this: a policy or a right may have changed. */
const REFUSED_MS = 60_000
const NO_IMAGE: Trouble = {
  reason: 'NoImage',
  message: 'spec.image is not given and the operator was started without ENGINE_IMAGE',
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
  image: string,
): DesiredContext {
  return {
    ...named,
    facts: {
      image,
      addresses: observed.addresses,
      webAddresses: webAddresses(observed),
      dkimKeys: material.dkimKeys,
      databaseUrl: databaseUrl(named.spec, observed),
      s3Endpoint: s3Endpoint(named.spec, observed),
      restartSecret: material.adminToken,
      served: observed.served,
    },
  }
}

/** Plans and carries out. The first Pods wait for what they need; later changes never do: one may be the cure. */
async function act(
  context: DesiredContext,
  observed: Observed,
  material: Material,
  blocked: readonly Statement[],
  deps: { client: KubeClient },
): Promise<Carried> {
  const deployment = idFor({ kind: 'Deployment' }, context.server.name)
  const first = !observed.children.has(deployment)
  const desired = desiredObjects(context).filter(
    (object) => !(first && blocked.length > 0 && idOf(object) === deployment),
  )
  // What is made of something that cannot be seen just now stays as it is.
  const keep = new Set([
    deployment,
    idFor({ kind: 'ConfigMap' }, `${context.server.name}-config`),
    idFor({ kind: 'Secret' }, `${context.server.name}-db-credentials`),
    // cert-manager writes its certificate into the Secret of ours, which serves until then.
    ...(context.spec.tls.issuerRef ? [idFor({ kind: 'Secret' }, tlsSecretName(context.server.name))] : []),
    ...(material.dkimTrouble.length > 0
      ? [...observed.children.keys()].filter((id) => id.startsWith(`Secret/${context.server.name}-dkim`))
      : []),
  ])
  const plan = planChanges(desired, observed.children, context.server.uid, keep)
  plan.remove.push(...material.retired.filter((secret) => !plan.remove.includes(secret)))
  return carryOut(plan, deps.client, observed.served)
}

function dkimStatement({ dkimKeys, dkimTrouble }: Material): Statement {
  const [trouble] = dkimTrouble
  if (trouble) return waiting('DKIMReady', 'KeyUnusable', trouble, { terminal: true })
  const of = (state: DkimKey['state']) => dkimKeys.filter((key) => key.state === state)
  const coming = of('Publishing').map(({ domain, selector }) => `${selector}._domainkey.${domain}`)
  if (coming.length > 0) {
    const message = `Waiting for DNS to show ${coming.slice(0, 5).join(', ')}`
    return { ...ok('DKIMReady', 'Rotating', message), pollMs: MINUTE_MS }
  }
  return ok('DKIMReady', 'KeysReady', `${of('Active').length} keys are in use`)
}

function rotationFacts({ metadata, status }: MailServer): RotationFacts {
  const request = metadata.annotations?.[ROTATE_DKIM]
  const published = new Set(
    status?.dns?.records?.filter(({ state }) => state === 'Published').map(({ name, value }) => `${name} ${value}`),
  )
  return {
    // Not acted on before the first status: a server that is new has new keys.
    requested: request !== undefined && status?.dkim !== undefined && request !== status.dkim.rotationRequest,
    isPublished: ({ domain, selector, txt }) => published.has(`${selector}._domainkey.${domain} ${txt}`),
  }
}

function troubleOf([refusal]: readonly Refusal[]): Trouble | undefined {
  if (!refusal) return undefined
  const { id, error } = refusal
  return { reason: error.kind === 'Forbidden' ? 'ApplyForbidden' : 'ApplyRefused', message: `${id}: ${error.message}` }
}

/** Tells what stands in the way of everything else, and changes nothing but the status. */
async function tellTrouble(server: MailServer, trouble: Trouble, deps: ReconcileDeps): Promise<undefined> {
  const { generation = 0 } = server.metadata
  const previous = server.status?.conditions
  const { conditions } = judge({ generation, previous, statements: [], trouble, now: deps.now() })
  await writeStatus(server, { ...server.status, observedGeneration: generation, conditions }, deps)
}

/** The server from the cache, with the status that we wrote last where the cache does not have it yet. */
function newestServer(key: ObjectKey, { caches, written }: ReconcileDeps): MailServer | undefined {
  const cached = caches.server(key)
  const ours = written.get(keyText(key))
  if (cached && ours?.basedOn === cached.metadata.resourceVersion) return ours?.server
  written.delete(keyText(key))
  return cached
}

/** Writes the status when it says something new, and an Event for each transition in it. */
async function writeStatus(server: MailServer, status: MailServerStatus, deps: ReconcileDeps): Promise<void> {
  const before = server.status && { ...server.status, conditions: sortedConditions(server.status.conditions ?? []) }
  if (isDeepStrictEqual(status, before)) return
  const { name, namespace } = server.metadata
  const object = {
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    metadata: { name, namespace: namespace ?? '' },
    status,
  }
  const options = { fieldManager: STATUS_MANAGER, subresource: 'status' } as const
  const after = await deps.client.apply<MailServer>(MailServerResource, object, options)
  // Of several writes before the cache follows, all are based on what the cache still shows.
  const key = { namespace: namespace ?? '', name }
  const basedOn = deps.caches.server(key)?.metadata.resourceVersion
  if (basedOn !== after.metadata.resourceVersion) deps.written.set(keyText(key), { basedOn, server: after })
  for (const event of transitions(server.status?.conditions, status.conditions ?? [])) deps.events.record(server, event)
}
