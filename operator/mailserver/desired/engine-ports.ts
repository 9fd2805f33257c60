/** The ports that an engine listens on, by the names that containers, Services and the platform use. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'

export const ENGINE_PORTS = { smtp: 25, smtps: 465, submission: 587, imaps: 993, jmap: 8080 } as const
/** HTTP for the world, which has no metrics, health and admin API: only where spec.service.https asks for it. */
export const HTTPS_PORT = 8443

/** Those of the engines of a MailServer. */
export function enginePorts({ service }: MailServerSpec): Readonly<Record<string, number>> {
  return service.https ? { ...ENGINE_PORTS, https: HTTPS_PORT } : ENGINE_PORTS
}
