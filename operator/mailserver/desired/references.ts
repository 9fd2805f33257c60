/** The Secrets that a spec names: they are the user's, whatever they were before. Pure. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'

export function referencedSecrets({
  database,
  storage,
  tls,
  outbound,
  imagePullSecrets = [],
}: MailServerSpec): string[] {
  const { backup, recovery } = database.cnpg ?? {}
  const references = [
    database.secretRef,
    backup?.credentialsSecretRef,
    recovery?.credentialsSecretRef,
    storage.s3?.credentialsSecretRef,
    storage.s3?.caSecretRef,
    outbound.relay?.credentialsSecretRef,
    ...imagePullSecrets,
    tls.secretName ? { name: tls.secretName } : undefined,
  ]
  return references.flatMap((reference) => reference?.name ?? [])
}
