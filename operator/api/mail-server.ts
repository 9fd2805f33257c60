/** The MailServer kind: a whole mail service. */

import type { KubeObject } from '../kube/types.ts'
import { parseSpec } from './invalid-spec.ts'
import { type MailServerSpec, mailServerSpec } from './mail-server-spec.ts'
import type { MailServerStatus } from './mail-server-status.ts'

export type MailServer = KubeObject<MailServerSpec, MailServerStatus> & { spec: MailServerSpec }

/** @throws InvalidSpec */
export const parseMailServerSpec = (spec: unknown): MailServerSpec => parseSpec(mailServerSpec, spec)
