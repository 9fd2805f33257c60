/**
 * The DKIM keys of a MailServer: which there are (Secrets with annotations that tell domain, selector, algorithm and
 * state), which have to be made, which are done with. The steps of a rotation are in ../dkim/rotation.ts.
 */

import { durationMs } from '../api/duration.ts'
import { SERVER_LABEL } from '../api/group.ts'
import type { DkimAlgorithm } from '../api/mail-server-spec.ts'
import { type DkimKeyPair, dkimKeyOf, FIRST_SELECTOR, UnusableKey } from '../dkim/keys.ts'
import { datedSelector, type KeyState, rotate } from '../dkim/rotation.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { DesiredContext, DkimKey } from './desired/context.ts'
import { DKIM_COMPONENT, dkimAnnotations, dkimSecret } from './desired/secrets.ts'
import { ensureGenerated } from './generated-secret.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'

/** Mail may be queued, forwarded and looked at days after it was signed. */
const GRACE_MS = 7 * 86_400_000

export interface DkimKeys {
  /** In every state; only the active ones sign. */
  dkimKeys: DkimKey[]
  /** Keys that exist and cannot be used: "Secret stalwart-dkim-…: why". Never replaced by themselves. */
  dkimTrouble: string[]
  /** Secrets of keys whose time is over. */
  retired: KubeObject[]
}

export interface DkimDeps {
  client: Pick<KubeClient, 'find' | 'list' | 'create' | 'mergePatch'>
  generateDkimKey: (algorithm: DkimAlgorithm) => Promise<DkimKeyPair>
  now: () => Date
}

export interface RotationFacts {
  /** A rotation that somebody asked for and that has not begun. */
  requested: boolean
  /** What the last look into DNS found. */
  isPublished: (key: DkimKey) => boolean
}

type Context = Pick<DesiredContext, 'server' | 'spec'>
type Live = Map<string, KubeObject>

interface KeySecret {
  domain: string
  selector: string
  algorithm: DkimAlgorithm
  state: KeyState
  /** RFC 3339. */
  since: string
  name: string
  secret: KubeObject
}

/** @throws KubeError */
export async function ensureDkimKeys(
  context: Context,
  live: Live,
  facts: RotationFacts,
  deps: DkimDeps,
): Promise<DkimKeys> {
  const result: DkimKeys = { dkimKeys: [], dkimTrouble: [], retired: [] }
  const inventory = keySecrets(live.values())
  for (const { name: domain } of context.spec.domains) {
    for (const algorithm of context.spec.dkim.algorithms) {
      const of = (all: KeySecret[]) => all.filter((key) => key.domain === domain && key.algorithm === algorithm)
      const found = of(inventory)
      const known = found.length > 0 ? found : of(await relisted(context, deps))
      if (known.length > 0) await step(context, known, facts, live, deps, result)
      else collect(await made(context, { domain, algorithm }, live, deps), result)
    }
  }
  return result
}

/** What is there, without making or moving anything: for a paused server. */
export function readDkimKeys({ spec }: Context, live: Live): DkimKeys {
  const result: DkimKeys = { dkimKeys: [], dkimTrouble: [], retired: [] }
  const wanted = keySecrets(live.values()).filter(
    ({ domain, algorithm }) =>
      spec.domains.some(({ name }) => name === domain) && spec.dkim.algorithms.includes(algorithm),
  )
  for (const key of wanted) collect(key, result)
  return result
}

async function step(
  context: Context,
  secrets: readonly KeySecret[],
  facts: RotationFacts,
  live: Live,
  deps: DkimDeps,
  result: DkimKeys,
): Promise<void> {
  const { dkim, dns } = context.spec
  const now = deps.now()
  const usable: DkimKeys = { dkimKeys: [], dkimTrouble: [], retired: [] }
  for (const secret of secrets) collect(secret, usable)
  result.dkimTrouble.push(...usable.dkimTrouble)
  const rotating = usable.dkimKeys.map((key) => ({ ...key, since: new Date(key.since) }))
  const isPublished = (key: (typeof rotating)[number]) => facts.isPublished({ ...key, since: '' })
  const { keys, start, retired } = rotate(rotating, isPublished, {
    now,
    intervalMs: dkim.rotation ? durationMs(dkim.rotation.interval) : undefined,
    requested: facts.requested,
    publishMs: dns.ttlSeconds * 1000,
    graceMs: GRACE_MS,
  })
  result.dkimKeys.push(...keys.map((key) => ({ ...key, since: seconds(key.since) })))
  const names = new Set(retired.map(({ secretName }) => secretName))
  result.retired.push(...secrets.filter(({ name }) => names.has(name)).map(({ secret }) => secret))
  const [first] = secrets
  if (!start || !first || usable.dkimTrouble.length > 0) return
  const taken = secrets.map(({ selector }) => selector)
  const selector = datedSelector(first.algorithm, now, taken)
  collect(await made(context, { ...first, selector, state: 'Publishing', since: seconds(now) }, live, deps), result)
}

/** A key that did not exist: the first of its kind signs at once, later ones are published first. */
async function made(
  context: Context,
  wish: { domain: string; algorithm: DkimAlgorithm; selector?: string; state?: KeyState; since?: string },
  live: Live,
  { client, generateDkimKey, now }: DkimDeps,
): Promise<KeySecret> {
  const { domain, algorithm, state = 'Active', since = seconds(now()) } = wish
  const selector = wish.selector ?? FIRST_SELECTOR[algorithm]
  const secret = dkimSecret(context, { domain, selector, algorithm, state, since })
  const generate = async () => {
    const pair = await generateDkimKey(algorithm)
    return { 'private.pem': pair.privatePem, 'public.txt': pair.txt }
  }
  const text = await ensureGenerated({ secret, keys: ['private.pem'], generate }, live, client)
  const data = { 'private.pem': Buffer.from(text['private.pem'] ?? '').toString('base64') }
  return { domain, selector, algorithm, state, since, name: secret.metadata.name, secret: { ...secret, data } }
}

/** Keys by list: a Secret that lost the label of our watch is still the key that is in DNS. */
async function relisted({ server }: Context, { client }: DkimDeps): Promise<KeySecret[]> {
  const labelSelector = `app.kubernetes.io/name=${DKIM_COMPONENT},app.kubernetes.io/instance=${server.name}`
  const { items } = await client.list(Secret, { namespace: server.namespace, labelSelector })
  return keySecrets(items.filter(({ metadata }) => (metadata.labels?.[SERVER_LABEL] ?? server.name) === server.name))
}

/** Adds a key to the usable ones, or why it is not among them. */
function collect(key: KeySecret, { dkimKeys, dkimTrouble }: DkimKeys): void {
  const { domain, selector, algorithm, state, since, name: secretName } = key
  try {
    const { privatePem, txt, algorithm: actual } = dkimKeyOf(secretText(key.secret)['private.pem'] ?? '')
    if (actual !== algorithm) throw new UnusableKey(`it is an ${actual} key, ${algorithm} is needed`)
    dkimKeys.push({ domain, selector, algorithm, state, since, secretName, privatePem, txt })
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error
    dkimTrouble.push(`Secret ${secretName}: ${error.message}`)
  }
}

/** The key Secrets among objects, oldest first; imported ones too, when their annotations say what they are. */
function keySecrets(objects: Iterable<KubeObject>): KeySecret[] {
  return [...objects]
    .flatMap((secret): KeySecret[] => {
      if (secret.kind !== 'Secret' || secret.metadata.deletionTimestamp) return []
      const { annotations = {}, creationTimestamp, name } = secret.metadata
      const domain = annotations[dkimAnnotations.domain]
      const selector = annotations[dkimAnnotations.selector]
      const algorithm = annotations[dkimAnnotations.algorithm]
      if (!domain || !selector || (algorithm !== 'rsa2048' && algorithm !== 'ed25519')) return []
      const state = stateOf(annotations[dkimAnnotations.state])
      const since = annotations[dkimAnnotations.since] ?? creationTimestamp ?? '1970-01-01T00:00:00Z'
      return [{ domain, selector, algorithm, state, since, name, secret }]
    })
    .sort((a, b) => (idOf(a.secret) < idOf(b.secret) ? -1 : 1))
}

function stateOf(text: string | undefined): KeyState {
  return text === 'Publishing' || text === 'Retiring' ? text : 'Active'
}

const seconds = (date: Date) => date.toISOString().replace(/\.\d{3}Z$/, 'Z')
