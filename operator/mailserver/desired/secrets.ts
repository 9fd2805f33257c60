/**
 * The Secrets of a MailServer. What is generated (keys, tokens) is written once by material.ts; here such a Secret is
 * desired by its metadata only, so that server-side apply never overwrites a key from an old cache.
 */

import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, type DkimKey, objectOf, ownsData } from './context.ts'
import {
  adminSecretName,
  caSecretName,
  databaseCredentialsName,
  dkimFileName,
  dkimSecretName,
  tlsSecretName,
} from './names.ts'

type Named = Pick<DesiredContext, 'server'>
type NamedSpec = Pick<DesiredContext, 'server' | 'spec'>

export const adminSecret = (context: Named): KubeObject =>
  objectOf(context, 'v1', 'Secret', adminSecretName(context.server.name), { type: 'Opaque' })

/** The operator's CA for this server; kept when the MailServer goes, because clients have been told to trust it. */
export const authoritySecret = (context: NamedSpec): KubeObject =>
  objectOf(
    context,
    'v1',
    'Secret',
    caSecretName(context.server.name),
    { type: 'kubernetes.io/tls' },
    { owned: ownsData(context.spec) },
  )

/** The certificate that the operator issues; only without an issuer and without a Secret of the user's. */
export const tlsSecret = (context: Named): KubeObject =>
  objectOf(context, 'v1', 'Secret', tlsSecretName(context.server.name), { type: 'kubernetes.io/tls' })

/** app.kubernetes.io/name of the Secrets with DKIM keys. */
export const DKIM_COMPONENT = 'mail-dkim'
/** What a key Secret says of itself; an imported key needs the first three. */
export const dkimAnnotations = {
  domain: 'mail.openova.io/domain',
  selector: 'mail.openova.io/selector',
  algorithm: 'mail.openova.io/algorithm',
  state: 'mail.openova.io/dkim-state',
  since: 'mail.openova.io/dkim-since',
} as const

/** One key pair; kept when the MailServer goes, because its record may still be in DNS. */
export const dkimSecret = (
  context: NamedSpec,
  key: Pick<DkimKey, 'domain' | 'selector' | 'algorithm' | 'state' | 'since'>,
): KubeObject =>
  objectOf(
    context,
    'v1',
    'Secret',
    dkimSecretName(context.server.name, key.domain, key.selector),
    { type: 'Opaque' },
    {
      component: DKIM_COMPONENT,
      owned: ownsData(context.spec),
      annotations: Object.fromEntries(
        (['domain', 'selector', 'algorithm', 'state', 'since'] as const).map((name) => [
          dkimAnnotations[name],
          key[name],
        ]),
      ),
    },
  )

/** All private keys as the engine's files, in one Secret: a new domain changes its content, not the Pods. */
export function dkimFilesSecret(context: DesiredContext): KubeObject {
  const files = context.facts.dkimKeys.map((key) => [dkimFileName(key.domain, key.selector), encoded(key.privatePem)])
  return objectOf(context, 'v1', 'Secret', `${context.server.name}-dkim`, {
    type: 'Opaque',
    data: Object.fromEntries(files),
  })
}

/** `url` for STALWART_DATABASE_URL; none until the database's own Secret exists. */
export function databaseCredentials(context: DesiredContext): KubeObject | undefined {
  const { databaseUrl } = context.facts
  if (databaseUrl === undefined) return undefined
  return objectOf(
    context,
    'v1',
    'Secret',
    databaseCredentialsName(context.server.name),
    { type: 'Opaque', data: { url: encoded(databaseUrl) } },
    { component: 'mail-database' },
  )
}

const encoded = (text: string) => Buffer.from(text).toString('base64')
