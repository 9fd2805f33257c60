/**
 * The last spec of each MailServer that could be used. When a newer one cannot be, the service is kept as the last one
 * says: its objects, certificates and keys must not suffer from a slip of the pen. Lost with the process, because it
 * decides what runs with the server's Secrets: no object that others may write to is to be trusted with it.
 */

import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import { keyText, type ObjectKey } from '../kube/types.ts'

export interface AcceptedSpecs {
  /** Undefined when none of this server has been usable since the process began. */
  of(server: MailServer): MailServerSpec | undefined
  accept(server: MailServer): void
  forget(key: ObjectKey): void
}

export function createAcceptedSpecs(): AcceptedSpecs {
  /** As the cache has them, so that those in use cost nothing. */
  const specs = new Map<string, { uid: string | undefined; spec: MailServer['spec'] }>()
  const textOf = ({ metadata }: MailServer) => keyText({ namespace: metadata.namespace ?? '', name: metadata.name })
  return {
    of(server) {
      const last = specs.get(textOf(server))
      return last?.uid === server.metadata.uid ? last && parseMailServerSpec(last.spec) : undefined
    },
    accept: (server) => void specs.set(textOf(server), { uid: server.metadata.uid, spec: server.spec }),
    forget: (key) => void specs.delete(keyText(key)),
  }
}
