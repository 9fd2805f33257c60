/**
 * Accounts that outlived their MailAccount, because the engine could not be told of its end in time. What it still has to
 * do stands in annotations of its MailServer, one per address, until it has done it: who may log in follows what was
 * asked for, late but without anybody's help, and whatever becomes of the operator meanwhile.
 */

import { createHash } from 'node:crypto'
import { LEFT_BEHIND, MailServerResource, PAUSED } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import { isKubeError } from '../kube/errors.ts'
import type { ObjectKey } from '../kube/types.ts'
import { type Ending, end, endedEvent, ending, isPossible } from './ending.ts'
import type { AccountDeps } from './reconcile.ts'

export type LeftBehindDeps = Pick<AccountDeps, 'client' | 'server' | 'isForeign' | 'engine' | 'events'> & {
  /** The MailAccounts of a server. */
  accountsOf(server: ObjectKey): MailAccount[]
}

/** Between tries while an engine that is ready does not do it. */
const RETRY_MS = 60_000

/** @throws KubeError */
export async function leaveBehind(
  server: ObjectKey,
  ending: Ending,
  { client }: Pick<LeftBehindDeps, 'client'>,
): Promise<void> {
  await annotate(server, { [annotationOf(ending)]: JSON.stringify(ending) }, client)
}

/** True when its engine has something to do that is overdue. */
export const hasLeftBehind = (server: MailServer): boolean => leftBehind(server).length > 0

/**
 * Has the engine of one MailServer do what is overdue.
 * @returns milliseconds until the next try; undefined when a watch event will bring it
 * @throws KubeError
 */
export async function settleLeftBehind(key: ObjectKey, deps: LeftBehindDeps): Promise<number | undefined> {
  const server = deps.server(key)
  if (!server || server.metadata.deletionTimestamp || deps.isForeign(server)) return undefined
  if (server.metadata.annotations?.[PAUSED] === 'true') return undefined
  let retryMs: number | undefined
  for (const left of leftBehind(server)) {
    // Whoever has the address now has the account with its mail.
    const heir = deps
      .accountsOf(key)
      .some(({ metadata, spec }) => spec.address === left.address && !metadata.deletionTimestamp)
    if (!heir) {
      // A domain that is gone may come back, and its accounts with it.
      if (!isPossible(left, server)) continue
      const api = (await deps.engine(key))?.api
      if (!api) return undefined
      const answer = await end(left, api)
      if (answer.kind !== 'ok' && answer.kind !== 'absent') {
        retryMs = RETRY_MS
        continue
      }
      const event = endedEvent(left, key.name, `the account ${left.address}, whose MailAccount is gone`)
      if (answer.kind === 'ok') deps.events.record(server, { ...event, action: 'Delete' })
    }
    await annotate(key, { [annotationOf(left)]: null }, deps.client)
  }
  return retryMs
}

function leftBehind({ metadata: { annotations = {} } }: MailServer): Ending[] {
  return Object.entries(annotations).flatMap(([name, text]) => {
    const read = name.startsWith(LEFT_BEHIND) ? ending.safeParse(parsed(text)).data : undefined
    return read && annotationOf(read) === name ? [read] : []
  })
}

/** An address itself is no name of an annotation. */
const annotationOf = ({ address }: Ending) =>
  `${LEFT_BEHIND}${createHash('sha256').update(address).digest('hex').slice(0, 16)}`

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // somebody else's, or changed by hand
  }
}

async function annotate(
  server: ObjectKey,
  annotations: Record<string, string | null>,
  client: LeftBehindDeps['client'],
): Promise<void> {
  try {
    await client.mergePatch(MailServerResource, server, { metadata: { annotations } })
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error // a server that is gone has no engine
  }
}
