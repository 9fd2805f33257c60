/** kubectl mail dns and dkim: records and keys, as status tells them. */

import type { MailServer } from '../api/mail-server.ts'
import { age, cut, table } from './table.ts'

const idOf = ({ metadata }: MailServer) => ({ namespace: metadata.namespace ?? '', name: metadata.name })

export const recordsJson = (server: MailServer) => ({
  ...idOf(server),
  summary: server.status?.dns?.summary,
  records: server.status?.dns?.records ?? [],
})

export const keysJson = (server: MailServer) => ({ ...idOf(server), keys: server.status?.dkim?.keys ?? [] })

/** Unknown is no fault: nobody may have looked. */
export function recordsAreWell({ status }: MailServer): boolean {
  return !(status?.dns?.records ?? []).some(({ state }) => state === 'Missing' || state === 'Mismatch')
}

export function recordsTable(servers: readonly MailServer[]): string {
  const several = servers.length > 1
  const rows = servers.flatMap((server) =>
    (server.status?.dns?.records ?? []).map(({ state, type, name, value, found }) => [
      ...(several ? [`${server.metadata.namespace}/${server.metadata.name}`] : []),
      state,
      type,
      name,
      cut(value),
      cut(found ?? ''),
    ]),
  )
  if (rows.length === 0) return 'No records yet: the operator has not looked at the server.\n'
  return table([[...(several ? ['SERVER'] : []), 'STATE', 'TYPE', 'NAME', 'VALUE', 'FOUND'], ...rows])
}

export function keysTable(servers: readonly MailServer[], now: Date): string {
  const several = servers.length > 1
  const rows = servers.flatMap((server) =>
    (server.status?.dkim?.keys ?? []).map(
      ({ domain, selector, algorithm, state, since, secretName, waitsFor = '' }) => [
        ...(several ? [`${server.metadata.namespace}/${server.metadata.name}`] : []),
        domain,
        selector,
        algorithm,
        state,
        age(since, now),
        secretName,
        waitsFor,
      ],
    ),
  )
  if (rows.length === 0) return 'No keys yet: the operator has not looked at the server.\n'
  const heading = ['DOMAIN', 'SELECTOR', 'ALGORITHM', 'STATE', 'SINCE', 'SECRET', 'WAITS FOR']
  return table([[...(several ? ['SERVER'] : []), ...heading], ...rows])
}
