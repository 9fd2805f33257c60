/**
 * What is generated once and kept: the admin token, the CA and certificate, the DKIM keys. Read from the cache; before
 * anything is made, the API is asked, because a cache that is a moment behind must not cost a key.
 */

import { randomBytes } from 'node:crypto'
import { APPLIED_HASH } from '../api/group.ts'
import type { DkimAlgorithm } from '../api/mail-server-spec.ts'
import { type DkimKeyPair, dkimKeyOf, FIRST_SELECTOR, UnusableKey } from '../dkim/keys.ts'
import { withHash } from '../kube/apply-if-changed.ts'
import { isKubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import {
  type CertificatePair,
  issueCertificate,
  isUsableAuthority,
  makeAuthority,
  needsRenewal,
} from './certificate-authority.ts'
import { allNames } from './desired/certificate.ts'
import type { DesiredContext, DkimKey } from './desired/context.ts'
import { issuesItself } from './desired/objects.ts'
import { adminSecret, authoritySecret, dkimSecret, tlsSecret } from './desired/secrets.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'

/** Field manager of generated contents: apart from what is applied, which never mentions them. */
const MANAGER = 'mail-operator-keys'

export interface Material {
  adminToken: string
  dkimKeys: DkimKey[]
  /** Keys that exist and cannot be used: "Secret stalwart-dkim-…: why". Never replaced by themselves. */
  dkimTrouble: string[]
  /** The certificate of our own CA, when it is we who issue. */
  certificate: CertificatePair | undefined
}

export interface MaterialDeps {
  client: Pick<KubeClient, 'find' | 'create' | 'mergePatch'>
  generateDkimKey: (algorithm: DkimAlgorithm) => Promise<DkimKeyPair>
  now: () => Date
}

type Context = Pick<DesiredContext, 'server' | 'spec'>
type Live = ReadonlyMap<string, KubeObject>

/** @throws KubeError */
export async function ensureMaterial(
  context: Context,
  live: Live,
  addresses: readonly string[],
  deps: MaterialDeps,
): Promise<Material> {
  const admin = await ensure(adminSecret(context), live, deps, ['token'], async () => ({
    token: randomBytes(32).toString('base64url'),
  }))
  const certificate = issuesItself(context) ? await ensureCertificate(context, live, addresses, deps) : undefined
  return { adminToken: admin.token ?? '', ...(await ensureDkimKeys(context, live, deps)), certificate }
}

/** What is there, without making anything: for a paused server. */
export function readMaterial(context: Context, live: Live): Material {
  const text = (secret: KubeObject) => secretText(live.get(idOf(secret)) ?? secret)
  const dkimKeys: DkimKey[] = []
  const dkimTrouble: string[] = []
  for (const wanted of wantedKeys(context)) collectKey(wanted, text(wanted.secret), dkimKeys, dkimTrouble)
  const own = text(tlsSecret(context))
  const certificate = issuesItself(context)
    ? { certificate: own['tls.crt'] ?? '', privateKey: own['tls.key'] ?? '' }
    : undefined
  return { adminToken: text(adminSecret(context)).token ?? '', dkimKeys, dkimTrouble, certificate }
}

interface WantedKey {
  domain: string
  selector: string
  algorithm: DkimAlgorithm
  secret: KubeObject
}

function wantedKeys(context: Context): WantedKey[] {
  return context.spec.domains.flatMap(({ name: domain }) =>
    context.spec.dkim.algorithms.map((algorithm) => {
      const selector = FIRST_SELECTOR[algorithm]
      return { domain, selector, algorithm, secret: dkimSecret(context, { domain, selector, algorithm }) }
    }),
  )
}

/** Adds the key of a Secret to `keys`, or to `trouble` why it cannot be used. */
function collectKey(wanted: WantedKey, text: Record<string, string>, keys: DkimKey[], trouble: string[]): void {
  const { domain, selector, algorithm, secret } = wanted
  const secretName = secret.metadata.name
  try {
    const { privatePem, txt, algorithm: actual } = dkimKeyOf(text['private.pem'] ?? '')
    if (actual !== algorithm) throw new UnusableKey(`it is an ${actual} key, ${algorithm} is needed`)
    keys.push({ domain, selector, algorithm, secretName, privatePem, txt })
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error
    trouble.push(`Secret ${secretName}: ${error.message}`)
  }
}

async function ensureDkimKeys(context: Context, live: Live, deps: MaterialDeps) {
  const dkimKeys: DkimKey[] = []
  const dkimTrouble: string[] = []
  for (const wanted of wantedKeys(context)) {
    const text = await ensure(wanted.secret, live, deps, ['private.pem'], async () => {
      const pair = await deps.generateDkimKey(wanted.algorithm)
      return { 'private.pem': pair.privatePem, 'public.txt': pair.txt }
    })
    collectKey(wanted, text, dkimKeys, dkimTrouble)
  }
  return { dkimKeys, dkimTrouble }
}

async function ensureCertificate(
  context: Context,
  live: Live,
  addresses: readonly string[],
  deps: MaterialDeps,
): Promise<CertificatePair> {
  const now = deps.now()
  const pairOf = (text: Record<string, string>) => ({
    certificate: text['tls.crt'] ?? '',
    privateKey: text['tls.key'] ?? '',
  })
  const asSecret = (pair: CertificatePair, ca: string) => ({
    'tls.crt': pair.certificate,
    'tls.key': pair.privateKey,
    'ca.crt': ca,
  })
  const authority = pairOf(
    await ensure(
      authoritySecret(context),
      live,
      deps,
      ['tls.crt', 'tls.key'],
      async () => {
        const made = await makeAuthority(`CA of ${context.server.namespace}/${context.server.name}`, now)
        return asSecret(made, made.certificate)
      },
      (text) => isUsableAuthority(pairOf(text), now),
    ),
  )
  const names = allNames(context, addresses)
  const text = await ensure(
    tlsSecret(context),
    live,
    deps,
    ['tls.crt', 'tls.key'],
    async () => asSecret(await issueCertificate(authority, names, now), authority.certificate),
    (found) => !needsRenewal(pairOf(found), authority, names, now),
  )
  return pairOf(text)
}

/**
 * The text of a generated Secret, which is made when it is missing, and made anew when it lacks a key or `isValid`
 * says no.
 * @param secret labels, type and owner; its data comes from `generate`
 */
async function ensure(
  secret: KubeObject,
  live: Live,
  { client }: MaterialDeps,
  keys: string[],
  generate: () => Promise<Record<string, string>>,
  isValid: (text: Record<string, string>) => boolean = () => true,
): Promise<Record<string, string>> {
  const usable = (found: KubeObject | undefined): Record<string, string> | undefined => {
    const text = found ? secretText(found) : undefined
    return text && keys.every((key) => text[key]) && isValid(text) ? text : undefined
  }
  const cached = usable(live.get(idOf(secret)))
  if (cached) return cached
  const key = { namespace: secret.metadata.namespace ?? '', name: secret.metadata.name }
  const existing = await client.find(Secret, key)
  const fresh = usable(existing)
  if (fresh) return fresh
  const text = await generate()
  const data = Object.fromEntries(
    Object.entries(text).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  )
  if (existing) await client.mergePatch(Secret, key, { data }, { fieldManager: MANAGER })
  else {
    try {
      await client.create(Secret, { ...withHash(secret, APPLIED_HASH), data })
    } catch (error) {
      // Somebody was faster: what they made counts.
      const theirs = isKubeError(error, 'AlreadyExists') ? usable(await client.find(Secret, key)) : undefined
      if (!theirs) throw error
      return theirs
    }
  }
  return text
}
