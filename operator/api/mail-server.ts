/** The MailServer kind: a whole mail service. */

import { z } from 'zod'
import type { KubeObject } from '../kube/types.ts'
import { type MailServerSpec, mailServerSpec } from './mail-server-spec.ts'
import type { MailServerStatus } from './mail-server-status.ts'

export type MailServer = KubeObject<MailServerSpec, MailServerStatus> & { spec: MailServerSpec }

/** A spec that the CRD let through and we still cannot work with; `message` names every bad field. */
export class InvalidSpec extends Error {
  override name = 'InvalidSpec'
}

/**
 * The spec with every default filled in, also where the API server runs an older CRD than ours.
 * @throws InvalidSpec
 */
export function parseMailServerSpec(spec: unknown): MailServerSpec {
  const result = mailServerSpec.safeParse(spec)
  if (result.success) return result.data
  throw new InvalidSpec(
    result.error.issues.map((issue) => `spec.${z.core.toDotPath(issue.path)}: ${issue.message}`).join('; '),
  )
}
