/** DomainsReady: said only where a name of the spec belongs to another MailServer, and both are let have it. */

import { type TakenName, takenText } from '../domain-index.ts'
import type { Statement } from './statement.ts'

/** @returns undefined while all names are the server's own */
export function domainsStatement(taken: readonly TakenName[], namespace: string): Statement | undefined {
  if (taken.length === 0) return undefined
  const message = `${takenText(taken, namespace)}. Their DNS records contradict each other, and each gets a part of the mail`
  return { type: 'DomainsReady', status: 'False', reason: 'DomainShared', message }
}
