/** What is generated once and kept: the admin token, the CA and certificate, the DKIM keys. */

import { randomBytes } from 'node:crypto'
import {
  type CertificatePair,
  issueCertificate,
  isUsableAuthority,
  makeAuthority,
  needsRenewal,
} from '../certificates/authority.ts'
import type { KubeObject } from '../kube/types.ts'
import { allNames } from './desired/certificate.ts'
import type { DesiredContext } from './desired/context.ts'
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
}

export type MaterialDeps = DkimDeps

type Context = Pick<DesiredContext, 'server' | 'spec'>
type Live = Map<string, KubeObject>

/** @throws KubeError */
export async function ensureMaterial(
  context: Context,
  live: Live,
  facts: RotationFacts & { addresses: readonly string[] },
  deps: MaterialDeps,
): Promise<Material> {
  const generate = async () => ({ token: randomBytes(32).toString('base64url') })
  const admin = await ensureGenerated({ secret: adminSecret(context), keys: ['token'], generate }, live, deps.client)
  const certificate = issuesItself(context) ? await ensureCertificate(context, live, facts.addresses, deps) : undefined
  const keys = await ensureDkimKeys(context, live, facts, deps)
  return { adminToken: admin.token ?? '', certificate, ...keys }
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
): Promise<CertificatePair> {
  const now = deps.now()
  const { namespace, name } = context.server
  const keys = ['tls.crt', 'tls.key']
  const authority = pairOf(
    await ensureGenerated(
      {
        secret: authoritySecret(context),
        keys,
        generate: async () => {
          const made = await makeAuthority(`CA of ${namespace}/${name}`, now)
          return textOf(made, made)
        },
        isValid: (text) => isUsableAuthority(pairOf(text), now),
      },
      live,
      deps.client,
    ),
  )
  const names = allNames(context, addresses)
  const text = await ensureGenerated(
    {
      secret: tlsSecret(context),
      keys,
      generate: async () => textOf(await issueCertificate(authority, names, now), authority),
      isValid: (found) => !needsRenewal(pairOf(found), authority, names, now),
    },
    live,
    deps.client,
  )
  return pairOf(text)
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
