/** What is generated once and kept: the admin token, the CA and certificate, the DKIM keys. */

import { randomBytes } from 'node:crypto'
import {
  authorityTrouble,
  type CertificatePair,
  isMadeAuthority,
  issueCertificate,
  lastsLongEnough,
  makeAuthority,
  needsRenewal,
} from '../certificates/authority.ts'
import type { KubeObject } from '../kube/types.ts'
import { allNames } from './desired/certificate.ts'
import type { DesiredContext } from './desired/context.ts'
import { caSecretName } from './desired/names.ts'
import { issuesItself } from './desired/objects.ts'
import { adminSecret, authoritySecret, tlsSecret } from './desired/secrets.ts'
import { type DkimDeps, type DkimKeys, ensureDkimKeys, type RotationFacts, readDkimKeys } from './dkim-keys.ts'
import { ensureGenerated } from './generated-secret.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'

export interface Material extends DkimKeys {
  adminToken: string
  /** The certificate of our own CA, when it is we who issue. */
  certificate: CertificatePair | undefined
  /** Why the CA in the Secret, which somebody put there, cannot issue one. */
  authorityTrouble?: string
}

export type MaterialDeps = DkimDeps

type Context = Pick<DesiredContext, 'server' | 'spec'>
type Live = Map<string, KubeObject>

/** @throws KubeError, NameTaken */
export async function ensureMaterial(
  context: Context,
  live: Live,
  facts: RotationFacts & { addresses: readonly string[] },
  deps: MaterialDeps,
): Promise<Material> {
  const generate = async () => ({ token: randomBytes(32).toString('base64url') })
  const admin = await ensureGenerated(
    { server: context.server, secret: adminSecret(context), keys: ['token'], generate },
    live,
    deps.client,
  )
  const issued = issuesItself(context) ? await ensureCertificate(context, live, facts.addresses, deps) : undefined
  const keys = await ensureDkimKeys(context, live, facts, deps)
  return { adminToken: admin.token ?? '', certificate: undefined, ...issued, ...keys }
}

/** What is there, without making anything: for a paused server. */
export function readMaterial(context: Context, live: Live): Material {
  const text = (secret: KubeObject) => secretText(live.get(idOf(secret)) ?? secret)
  return {
    adminToken: text(adminSecret(context)).token ?? '',
    certificate: issuesItself(context) ? pairOf(text(tlsSecret(context))) : undefined,
    ...readDkimKeys(context, live),
  }
}

async function ensureCertificate(
  context: Context,
  live: Live,
  addresses: readonly string[],
  deps: MaterialDeps,
): Promise<Pick<Material, 'certificate' | 'authorityTrouble'>> {
  const now = deps.now()
  const commonName = `CA of ${context.server.namespace}/${context.server.name}`
  const keys = ['tls.crt', 'tls.key']
  const authority = pairOf(
    await ensureGenerated(
      {
        server: context.server,
        secret: authoritySecret(context),
        keys,
        generate: async () => {
          const made = await makeAuthority(commonName, now)
          return textOf(made, made)
        },
        isValid: (text) =>
          authorityTrouble(pairOf(text), now) === undefined &&
          (!isMadeAuthority(pairOf(text), commonName) || lastsLongEnough(pairOf(text), now)),
        // The key of somebody else's CA may exist nowhere else, and half of a pair is on its way to become one.
        isOurs: (existing) => {
          const found = secretText(existing)
          return keys.every((key) => !found[key]) || isMadeAuthority(pairOf(found), commonName)
        },
      },
      live,
      deps.client,
    ),
  )
  const trouble = authorityTrouble(authority, now)
  if (trouble) {
    const name = caSecretName(context.server.name)
    const told = `The CA in Secret ${name} ${trouble}. It is not the operator's and stays as it is: mend it, or delete the Secret`
    const present = live.get(idOf(tlsSecret(context)))
    return { certificate: present && pairOf(secretText(present)), authorityTrouble: told }
  }
  const names = allNames(context, addresses)
  const text = await ensureGenerated(
    {
      server: context.server,
      secret: tlsSecret(context),
      keys,
      generate: async () => textOf(await issueCertificate(authority, names, now, keptKey(context, live)), authority),
      isValid: (found) => !needsRenewal(pairOf(found), authority, names, now),
    },
    live,
    deps.client,
  )
  return { certificate: pairOf(text) }
}

/** The key that a TLSA record is of: a renewal stays with it. */
function keptKey(context: Context, live: Live): string | undefined {
  const secret = context.spec.dns.tlsa.enabled ? live.get(idOf(tlsSecret(context))) : undefined
  return secret && secretText(secret)['tls.key']
}

const pairOf = (text: Record<string, string>): CertificatePair => ({
  certificate: text['tls.crt'] ?? '',
  privateKey: text['tls.key'] ?? '',
})

const textOf = (pair: CertificatePair, authority: CertificatePair): Record<string, string> => ({
  'tls.crt': pair.certificate,
  'tls.key': pair.privateKey,
  'ca.crt': authority.certificate,
})
