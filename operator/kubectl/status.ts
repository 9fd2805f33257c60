/** kubectl mail status: what is ready, and why not. */

import { MailAccountResource } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition } from '../kube/conditions.ts'
import type { KubeClient } from '../kube/types.ts'
import { isPaused, isReady } from './servers.ts'
import { age, table } from './table.ts'

export interface ServerStatus {
  server: MailServer
  accounts: MailAccount[]
}

/** One list of accounts per namespace. @throws KubeError */
export async function accountsOf(
  client: Pick<KubeClient, 'list'>,
  servers: readonly MailServer[],
): Promise<ServerStatus[]> {
  const namespaces = new Set(servers.map(({ metadata }) => metadata.namespace ?? ''))
  const found = new Map<string, MailAccount[]>()
  for (const namespace of namespaces) {
    const { items } = await client.list<MailAccount>(MailAccountResource, { namespace })
    found.set(namespace, items)
  }
  return servers.map((server) => ({
    server,
    accounts: (found.get(server.metadata.namespace ?? '') ?? []).filter(
      ({ spec }) => spec.serverRef.name === server.metadata.name,
    ),
  }))
}

/** For programs: names and states, not the whole object (that is what kubectl get is for). */
export function statusJson({ server, accounts }: ServerStatus) {
  const { metadata, spec, status } = server
  const ready = findCondition(status?.conditions, 'Ready')
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    hostname: spec.hostname,
    ready: isReady(server),
    reason: ready?.reason,
    message: ready?.message,
    paused: isPaused(server),
    deleting: metadata.deletionTimestamp !== undefined,
    observed: (status?.observedGeneration ?? -1) >= (metadata.generation ?? 0),
    replicas: { wanted: spec.replicas, ready: status?.readyReplicas ?? 0 },
    version: status?.version,
    image: status?.image,
    addresses: status?.addresses ?? [],
    database: status?.database,
    storage: status?.storage,
    certificate: status?.certificate,
    dns: status?.dns?.summary,
    accounts: { total: accounts.length, ready: accounts.filter(isAccountReady).length },
    conditions: status?.conditions ?? [],
  }
}

const isAccountReady = ({ status }: MailAccount) => findCondition(status?.conditions, 'Ready')?.status === 'True'

export function statusTable(statuses: readonly ServerStatus[]): string {
  const rows = statuses.map(({ server, accounts }) => {
    const { metadata, spec, status } = server
    return [
      metadata.namespace ?? '',
      metadata.name,
      isReady(server) ? 'True' : 'False',
      stateOf(server),
      `${status?.readyReplicas ?? 0}/${spec.replicas}`,
      status?.dns?.summary ?? '',
      `${accounts.filter(isAccountReady).length}/${accounts.length}`,
      status?.version ?? '',
      spec.hostname,
    ]
  })
  return table([['NAMESPACE', 'NAME', 'READY', 'STATUS', 'ENGINES', 'DNS', 'ACCOUNTS', 'VERSION', 'HOSTNAME'], ...rows])
}

/** The reason of Ready, or what comes before it. */
function stateOf(server: MailServer): string {
  const { metadata, status } = server
  if (metadata.deletionTimestamp) return 'Deleting'
  if (isPaused(server)) return 'Paused'
  if ((status?.observedGeneration ?? -1) < (metadata.generation ?? 0)) return 'NotLookedAt'
  const stalled = findCondition(status?.conditions, 'Stalled')
  if (stalled?.status === 'True') return `Stalled: ${stalled.reason}`
  return findCondition(status?.conditions, 'Ready')?.reason ?? ''
}

/** Everything about one server on one screen. */
export function statusPage({ server, accounts }: ServerStatus, now: Date): string {
  const { metadata, spec, status } = server
  const { database, storage, certificate } = status ?? {}
  const notReady = accounts.filter((account) => !isAccountReady(account)).map(({ metadata: { name } }) => name)
  const keys = status?.dkim?.keys ?? []
  const count = (state: string) => keys.filter((key) => key.state === state).length
  const facts: [string, string][] = [
    ['MailServer', `${metadata.namespace}/${metadata.name}`],
    ['Hostname', spec.hostname],
    ['Ready', `${isReady(server) ? 'True' : 'False'} (${stateOf(server)})`],
    ['Engines', `${status?.readyReplicas ?? 0} of ${spec.replicas} ready, ${status?.image ?? 'no image yet'}`],
    ['Addresses', status?.addresses?.join(', ') || 'none yet'],
    ['Database', database ? `${database.kind} ${database.name}${instances(database)}` : 'none yet'],
    ['Storage', storage ? `${storage.kind}${storage.bucket ? ` bucket ${storage.bucket}` : ''}` : 'none yet'],
    ['Certificate', certificate ? `Secret ${certificate.secretName}${until(certificate.notAfter, now)}` : 'none yet'],
    ...(certificate?.further ?? []).map(({ secretName, notAfter }): [string, string] => [
      '',
      `Secret ${secretName}${notAfter ? until(notAfter, now) : ', not issued yet'}`,
    ]),
    ['DKIM keys', `${count('Active')} active, ${count('Publishing')} publishing, ${count('Retiring')} retiring`],
    ['DNS', status?.dns?.summary ? `${status.dns.summary} records published` : 'not looked up yet'],
    [
      'Accounts',
      `${accounts.length - notReady.length} of ${accounts.length} ready${
        notReady.length > 0 ? `; not: ${notReady.slice(0, 5).join(', ')}${notReady.length > 5 ? ', …' : ''}` : ''
      }`,
    ],
  ]
  const conditions = (status?.conditions ?? []).map((condition) => [
    condition.type,
    condition.status,
    condition.reason,
    age(condition.lastTransitionTime, now),
    condition.message,
  ])
  return `${table(facts.map(([name, value]) => [`${name}:`, value]))}\n${table([
    ['CONDITION', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'],
    ...conditions,
  ])}`
}

function instances({
  instances: all,
  readyInstances,
  primary,
}: {
  instances?: number
  readyInstances?: number
  primary?: string
}) {
  if (all === undefined) return ''
  return `, ${readyInstances ?? 0} of ${all} instances ready${primary ? `, primary ${primary}` : ''}`
}

function until(notAfter: string | undefined, now: Date): string {
  if (!notAfter) return ''
  const days = Math.floor((Date.parse(notAfter) - +now) / 86_400_000)
  return days < 0 ? `, EXPIRED ${notAfter}` : `, until ${notAfter} (${days} days)`
}
