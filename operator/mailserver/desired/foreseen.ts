/** What can be foreseen of a MailServer before anything of it exists: what others will tell stands as a placeholder. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { FIRST_SELECTOR } from '../../dkim/keys.ts'
import { newestVersions } from '../kinds.ts'
import { certificateGroups } from './certificate-groups.ts'
import type { DesiredContext, Facts } from './context.ts'
import { dkimSecretName } from './names.ts'

/** Stands where a key will be once it is generated. */
export const NOT_YET = '(generated)'

export function foreseenFacts(
  { name }: Pick<DesiredContext['server'], 'name'>,
  spec: MailServerSpec,
  { image, addresses }: Pick<Facts, 'image' | 'addresses'>,
): Facts {
  return {
    image,
    addresses,
    dkimKeys: spec.domains.flatMap(({ name: domain }) =>
      spec.dkim.algorithms.map((algorithm) => ({
        domain,
        algorithm,
        selector: FIRST_SELECTOR[algorithm],
        secretName: dkimSecretName(name, domain, FIRST_SELECTOR[algorithm]),
        state: 'Active' as const,
        since: '(when it is made)',
        privatePem: NOT_YET,
        txt: `v=DKIM1; k=${algorithm === 'rsa2048' ? 'rsa' : 'ed25519'}; p=${NOT_YET}`,
      })),
    ),
    certificates: certificateGroups(name, spec, new Map()),
    databaseUrl: '(from the database)',
    s3Endpoint: spec.storage.s3 ? (spec.storage.s3.endpoint ?? 'https://from-the-credentials-secret') : undefined,
    restartSecret: '',
    served: newestVersions(),
  }
}
