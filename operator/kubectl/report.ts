/** kubectl mail report: all that belongs to one MailServer, for whoever helps, without any Secret's value. */

import { stringify } from 'yaml'
import { ACCOUNT_LABEL, MailAccountResource, SERVER_LABEL } from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import type { MailServer } from '../api/mail-server.ts'
import { isKubeError } from '../kube/errors.ts'
import { Event, PersistentVolumeClaim, Pod, ReplicaSet, Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject, Resource } from '../kube/types.ts'
import { databaseName, selectorLabels } from '../mailserver/desired/names.ts'
import { BUILT_IN, idOf, OPTIONAL, OPTIONAL_KINDS } from '../mailserver/kinds.ts'
import { redacted } from './redact.ts'

/** The newest of each. */
const MAX_EVENTS = 200
const MAX_ACCOUNTS = 200

export interface Report {
  tool: string
  at: string
  server: string
  kubernetes: string
  /** "clusters: Forbidden": kinds that could not be read, and what was left out. */
  incomplete: string[]
  objects: KubeObject[]
}

type Reader = Pick<KubeClient, 'list' | 'discover' | 'raw'>

/** @throws KubeError when the API server does not answer; what may not be read is said in `incomplete` */
export async function makeReport(client: Reader, server: MailServer, now: Date): Promise<Report> {
  const { name, namespace = '' } = server.metadata
  const incomplete: string[] = []

  /** @param labels a selector, or the labels to be equal */
  async function list<T extends KubeObject>(resource: Resource, labels: Record<string, string> | string = '') {
    const labelSelector =
      typeof labels === 'string'
        ? labels
        : Object.entries(labels)
            .map(([key, value]) => `${key}=${value}`)
            .join(',')
    try {
      return (await client.list<T>(resource, { namespace, ...(labelSelector ? { labelSelector } : {}) })).items
    } catch (error) {
      if (!isKubeError(error, 'Forbidden', 'NotFound')) throw error
      incomplete.push(`${resource.plural}: ${error.kind}`)
      return []
    }
  }

  const ours = { [SERVER_LABEL]: name }
  const database = { 'cnpg.io/cluster': databaseName(name) }
  const objects: KubeObject[] = [server]
  for (const resource of BUILT_IN) objects.push(...(await list(resource, ours)))
  for (const kind of OPTIONAL_KINDS) {
    const served = await client.discover(OPTIONAL[kind].group, kind)
    if (served) objects.push(...(await list(served, ours)))
  }
  objects.push(...(await list(ReplicaSet, selectorLabels(name))))
  objects.push(...(await list(Pod, selectorLabels(name))), ...(await list(Pod, database)))
  objects.push(...(await list(PersistentVolumeClaim, database)))

  const accounts = (await list<MailAccount>(MailAccountResource)).filter(({ spec }) => spec.serverRef.name === name)
  if (accounts.length > MAX_ACCOUNTS) incomplete.push(`mailaccounts: ${MAX_ACCOUNTS} of ${accounts.length}`)
  objects.push(...accounts.slice(0, MAX_ACCOUNTS))

  const regarded = new Set([...objects, ...accounts].map(idOf))
  objects.push(...newest(await list<NewsEvent>(Event), regarded))

  // Passwords of accounts are no part of the report, but must not be quoted by one either.
  const passwords = await list(Secret, ACCOUNT_LABEL)
  return {
    tool: 'kubectl-mail',
    at: now.toISOString(),
    server: `${namespace}/${name}`,
    kubernetes: await versionOf(client),
    incomplete: [...new Set(incomplete)],
    objects: redacted(objects, passwords),
  }
}

interface NewsEvent extends KubeObject {
  regarding?: { kind?: string; name?: string }
}

function newest(events: readonly NewsEvent[], regarded: ReadonlySet<string>): NewsEvent[] {
  const timeOf = ({ eventTime, deprecatedLastTimestamp, metadata }: NewsEvent) =>
    String(deprecatedLastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '')
  return events
    .filter(({ regarding }) => regarded.has(`${regarding?.kind}/${regarding?.name}`))
    .sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1))
    .slice(0, MAX_EVENTS)
}

async function versionOf(client: Pick<KubeClient, 'raw'>): Promise<string> {
  const version = (await client.raw('GET', '/version')) as { gitVersion?: string } | null
  return version?.gitVersion ?? 'unknown'
}

/** A YAML stream: first what this is, then one document per object. */
export function reportYaml({ objects, ...about }: Report): string {
  return [about, ...objects]
    .map((document) => stringify(document, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join('---\n')
}
