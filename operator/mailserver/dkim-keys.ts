/**
 * The DKIM keys of a MailServer: which there are (Secrets with annotations that tell domain, selector, algorithm and
 * state), which have to be made, which are done with. The steps of a rotation are in ../dkim/rotation.ts.
 */

import { durationMs } from '../api/duration.ts'
import { APPLIED_HASH, MANAGED_BY, SERVER_LABEL } from '../api/group.ts'
import type { DkimAlgorithm } from '../api/mail-server-spec.ts'
import { type DkimKeyPair, dkimKeyOf, FIRST_SELECTOR, UnusableKey } from '../dkim/keys.ts'
import { datedSelector, type KeyState, rotate } from '../dkim/rotation.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { DesiredContext, DkimKey } from './desired/context.ts'
import { dkimSecretName } from './desired/names.ts'
import { DKIM_COMPONENT, dkimAnnotations, dkimSecret } from './desired/secrets.ts'
import { ensureGenerated } from './generated-secret.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'
import { belongsTo } from './ownership.ts'

/** Mail may be queued, forwarded and looked at days after it was signed. */
export const GRACE_MS = 7 * 86_400_000

export interface DkimKeys {
  /** In every state; only the active ones sign. */
  dkimKeys: DkimKey[]
  /** Keys that exist and cannot be used. Never replaced by themselves. */
  dkimTrouble: KeyTrouble[]
  /** Secrets of keys whose time is over. */
  retired: KubeObject[]
}

export interface KeyTrouble {
  domain: string
  /** "Secret stalwart-dkim-…: why". */
  text: string
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
  /** Secrets of keys as status tells them. */
  secretNames: readonly string[]
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
  /** Somebody else made it. */
  imported: boolean
  secret: KubeObject
}

/** What a Secret says; an imported one may have no state yet. */
type FoundKey = Omit<KeySecret, 'state'> & { state: KeyState | undefined }

interface Inventory {
  keys: FoundKey[]
  /** Secrets that say which domain they are for, and not what is needed beyond. */
  trouble: KeyTrouble[]
}

/** @throws KubeError, NameTaken */
export async function ensureDkimKeys(
  context: Context,
  live: Live,
  facts: RotationFacts,
  deps: DkimDeps,
): Promise<DkimKeys> {
  const result: DkimKeys = { dkimKeys: [], dkimTrouble: [], retired: [] }
  const { keys: inventory, trouble } = keySecrets(live.values())
  // Once for all keys that the cache does not show: of two hundred new domains none has any.
  let listed: Promise<FoundKey[]> | undefined
  for (const { name: domain } of context.spec.domains) {
    result.dkimTrouble.push(...trouble.filter((one) => one.domain === domain))
    for (const algorithm of context.spec.dkim.algorithms) {
      const of = (all: FoundKey[]) => all.filter((key) => key.domain === domain && key.algorithm === algorithm)
      const found = of(inventory)
      if (found.length === 0) listed ??= relisted(context, live, facts, deps)
      const known = found.length > 0 ? found : of((await listed) ?? [])
      if (known.length > 0) await step(context, placed(known, deps.now()), facts, live, deps, result)
      else collect(await made(context, { domain, algorithm }, live, deps), result)
    }
  }
  return result
}

/** What is there, without making or moving anything: for a paused server. */
export function readDkimKeys({ spec }: Context, live: Live): DkimKeys {
  const result: DkimKeys = { dkimKeys: [], dkimTrouble: [], retired: [] }
  const { keys } = keySecrets(live.values())
  for (const { name } of spec.domains) {
    for (const wanted of spec.dkim.algorithms) {
      const of = keys.filter(({ domain, algorithm }) => domain === name && algorithm === wanted)
      for (const key of placed(of)) collect(key, result)
    }
  }
  return result
}

/**
 * Gives imported keys of one domain and algorithm the state in which they begin: the only one signs at once, because its
 * record is in DNS already; one that comes to a key that signs has to be seen in DNS first, as in a rotation. One that
 * cannot be used is in nobody's way.
 */
function placed(keys: readonly FoundKey[], now?: Date): KeySecret[] {
  let signs = keys.some(({ state }) => state === 'Active')
  return keys.map((key): KeySecret => {
    if (key.state) return { ...key, state: key.state }
    if (signs) return { ...key, state: 'Publishing', since: now ? seconds(now) : key.since }
    signs = !(pairOf(key) instanceof UnusableKey)
    return { ...key, state: 'Active' }
  })
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
  // What nobody looks up must not sign: with dns.verify off no rotation begins or goes on.
  const isPublished = (key: (typeof rotating)[number]) => dns.verify && facts.isPublished({ ...key, since: '' })
  const { keys, start, retired } = rotate(rotating, isPublished, {
    now,
    intervalMs: dns.verify && dkim.rotation ? durationMs(dkim.rotation.interval) : undefined,
    requested: dns.verify && facts.requested,
    publishMs: dns.ttlSeconds * 1000,
    graceMs: GRACE_MS,
  })
  result.dkimKeys.push(...keys.map((key) => ({ ...key, since: seconds(key.since) })))
  const names = new Set(retired.map(({ secretName }) => secretName))
  for (const key of secrets.filter(({ name }) => names.has(name))) await retire(key, deps, result)
  const [first] = secrets
  const signs = keys.some(({ state }) => state === 'Active')
  if (!start || !first || (usable.dkimTrouble.length > 0 && !signs)) return
  const taken = secrets.map(({ selector }) => selector)
  const selector = datedSelector(first.algorithm, now, taken)
  const { domain, algorithm } = first
  const wish = { domain, algorithm, selector, state: 'Publishing' as const, since: seconds(now) }
  collect(await made(context, wish, live, deps), result)
}

/** Our own Secret goes; somebody else's is told that its time is over, and left to them. */
async function retire({ imported, secret, name }: KeySecret, { client }: DkimDeps, result: DkimKeys): Promise<void> {
  if (!imported) {
    result.retired.push(secret)
    return
  }
  const key = { namespace: secret.metadata.namespace ?? '', name }
  await client.mergePatch(Secret, key, { metadata: { annotations: { [dkimAnnotations.state]: RETIRED } } })
}

/** State of an imported key that is done with. */
const RETIRED = 'Retired'

/** A key that did not exist: the first of its kind signs at once, later ones are published first. */
async function made(
  context: Context,
  wish: { domain: string; algorithm: DkimAlgorithm; selector?: string; state?: KeyState; since?: string },
  live: Live,
  { client, generateDkimKey, now }: DkimDeps,
): Promise<KeySecret> {
  const { domain, algorithm, state = 'Active', since = seconds(now()) } = wish
  const selector = wish.selector ?? FIRST_SELECTOR[algorithm]
  const name = dkimSecretName(context.server.name, domain, selector)
  const secret = dkimSecret(context, { domain, selector, algorithm, state, since, secretName: name })
  const generate = async () => {
    const pair = await generateDkimKey(algorithm)
    return { 'private.pem': pair.privatePem, 'public.txt': pair.txt }
  }
  const generated = { server: context.server, secret, keys: ['private.pem'], generate, isOurs }
  const text = await ensureGenerated(generated, live, client)
  const data = { 'private.pem': Buffer.from(text['private.pem'] ?? '').toString('base64') }
  const imported = !isOurs(live.get(idOf(secret)) ?? secret)
  return { domain, selector, algorithm, state, since, name, imported, secret: { ...secret, data } }
}

/** Made by us, also when it has lost its labels. */
function isOurs({ metadata: { labels, annotations } }: KubeObject): boolean {
  const managedBy = labels?.['app.kubernetes.io/managed-by']
  if (managedBy !== undefined) return managedBy === MANAGED_BY
  return annotations?.[APPLIED_HASH] !== undefined && annotations[dkimAnnotations.imported] === undefined
}

/**
 * Keys by list, and by name: a Secret that lost the label of our watch, or all of them, is still the key that is in DNS;
 * and one that was imported together with its server may be heard of after it.
 */
async function relisted(
  { server }: Context,
  live: Live,
  { secretNames }: RotationFacts,
  { client }: DkimDeps,
): Promise<FoundKey[]> {
  const { namespace } = server
  const ours = `app.kubernetes.io/name=${DKIM_COMPONENT},app.kubernetes.io/instance=${server.name}`
  const { items } = await client.list(Secret, { namespace, labelSelector: ours })
  const labelled = await client.list(Secret, { namespace, labelSelector: `${SERVER_LABEL}=${server.name}` })
  const listed = new Set(items.map(({ metadata }) => metadata.name))
  items.push(...labelled.items.filter(({ metadata }) => !listed.has(metadata.name)))
  const seen = new Set([...live.values(), ...items].map(({ metadata }) => metadata.name))
  for (const name of secretNames.filter((known) => !seen.has(known))) {
    const found = await client.find(Secret, { namespace, name })
    if (found) items.push(found)
  }
  return keySecrets(items.filter((secret) => belongsTo(server, secret))).keys
}

/** Adds a key to the usable ones, or why it is not among them. */
function collect(key: KeySecret, { dkimKeys, dkimTrouble }: DkimKeys): void {
  const { domain, selector, algorithm, state, since, name: secretName, imported } = key
  const pair = pairOf(key)
  if (pair instanceof UnusableKey) {
    dkimTrouble.push({ domain, text: `Secret ${secretName}: ${pair.message}` })
    return
  }
  const { privatePem, txt } = pair
  const theirs = imported ? { imported } : {}
  dkimKeys.push({ domain, selector, algorithm, state, since, secretName, ...theirs, privatePem, txt })
}

/** What its Secret holds, or why that is no key of its algorithm. */
function pairOf({ secret, algorithm }: Pick<FoundKey, 'secret' | 'algorithm'>): DkimKeyPair | UnusableKey {
  try {
    const pair = keyIn(secret)
    if (pair.algorithm === algorithm) return pair
    return new UnusableKey(`it is an ${pair.algorithm} key, ${algorithm} is needed`)
  } catch (error) {
    if (error instanceof UnusableKey) return error
    throw error
  }
}

/** @throws UnusableKey */
function keyIn(secret: KubeObject): DkimKeyPair {
  const pem = secretText(secret)['private.pem']
  if (!pem) throw new UnusableKey('it has no private.pem')
  return dkimKeyOf(pem)
}

/** RFC 6376 §3.1; it is also part of a file name. */
const SELECTOR = /^(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/

/** The key Secrets among objects in the order of their names, ours first; imported ones by what their annotations say. */
function keySecrets(objects: Iterable<KubeObject>): Inventory {
  const inventory: Inventory = { keys: [], trouble: [] }
  for (const secret of objects) {
    const { annotations = {}, creationTimestamp, name } = secret.metadata
    const domain = annotations[dkimAnnotations.domain]
    const state = annotations[dkimAnnotations.state]
    if (secret.kind !== 'Secret' || secret.metadata.deletionTimestamp || !domain || state === RETIRED) continue
    try {
      const selector = annotations[dkimAnnotations.selector]
      if (!selector || !SELECTOR.test(selector)) {
        throw new UnusableKey(`annotation ${dkimAnnotations.selector} must be a selector, like mail2026`)
      }
      const algorithm = annotations[dkimAnnotations.algorithm] ?? keyIn(secret).algorithm
      if (algorithm !== 'rsa2048' && algorithm !== 'ed25519') {
        throw new UnusableKey(`annotation ${dkimAnnotations.algorithm} must be rsa2048 or ed25519, or be left out`)
      }
      const told = annotations[dkimAnnotations.since]
      const since = told && !Number.isNaN(Date.parse(told)) ? told : (creationTimestamp ?? '1970-01-01T00:00:00Z')
      const imported = !isOurs(secret)
      inventory.keys.push({ domain, selector, algorithm, state: stateOf(state), since, name, imported, secret })
    } catch (error) {
      if (!(error instanceof UnusableKey)) throw error
      inventory.trouble.push({ domain, text: `Secret ${name}: ${error.message}` })
    }
  }
  inventory.keys.sort((a, b) => Number(a.imported) - Number(b.imported) || (idOf(a.secret) < idOf(b.secret) ? -1 : 1))
  const isSame = (a: FoundKey, b: FoundKey) => a.domain === b.domain && a.selector === b.selector
  const keys = inventory.keys.filter((key, index, all) => all.findIndex((other) => isSame(key, other)) === index)
  for (const { domain, selector, name } of inventory.keys.filter((key) => !keys.includes(key))) {
    inventory.trouble.push({ domain, text: `Secret ${name}: another Secret has selector ${selector} of ${domain}` })
  }
  return { ...inventory, keys }
}

function stateOf(text: string | undefined): KeyState | undefined {
  return text === 'Publishing' || text === 'Retiring' || text === 'Active' ? text : undefined
}

const seconds = (date: Date) => date.toISOString().replace(/\.\d{3}Z$/, 'Z')
