/** kubectl mail pause, resume and dkim rotate: annotations that the operator understands. */

import { MailServerResource, PAUSED, ROTATE_DKIM } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import type { KubeClient } from '../kube/types.ts'
import { CommandError, isPaused } from './servers.ts'

const MANAGER = { fieldManager: 'kubectl-mail' }

type Patcher = Pick<KubeClient, 'mergePatch'>

/** @param value null takes the annotation away */
async function annotate(client: Patcher, { metadata }: MailServer, key: string, value: string | null): Promise<void> {
  const object = { namespace: metadata.namespace ?? '', name: metadata.name }
  await client.mergePatch(MailServerResource, object, { metadata: { annotations: { [key]: value } } }, MANAGER)
}

/** @returns what happened, for people */
export async function setPaused(client: Patcher, server: MailServer, paused: boolean): Promise<string> {
  const { name } = server.metadata
  if (isPaused(server) === paused) return `mailserver/${name} ${paused ? 'is paused already' : 'is not paused'}\n`
  await annotate(client, server, PAUSED, paused ? 'true' : null)
  return paused
    ? `mailserver/${name} paused: the operator tells its status and changes nothing, until kubectl mail resume ${name}\n`
    : `mailserver/${name} resumed\n`
}

/**
 * @returns what happened and what to look at, for people
 * @throws CommandError where the operator would not act on it
 */
export async function rotateKeys(client: Patcher, server: MailServer, now: Date): Promise<string> {
  const { metadata, spec, status } = server
  const { name } = metadata
  if (metadata.deletionTimestamp) throw new CommandError(`mailserver/${name} is being deleted`)
  if (!status?.dkim?.keys?.length) throw new CommandError(`mailserver/${name} has no DKIM keys yet`)
  if (isPaused(server)) throw new CommandError(`mailserver/${name} is paused: kubectl mail resume ${name}`)
  if (!spec.dns.verify) {
    throw new CommandError(
      `mailserver/${name}: spec.dns.verify is false, and a new key may sign only once DNS is seen to show it`,
    )
  }
  const coming = status.dkim.keys.filter(({ state }) => state === 'Publishing')
  if (coming.length > 0) {
    const records = coming.map(({ selector, domain }) => `${selector}._domainkey.${domain}`)
    throw new CommandError(`a rotation of mailserver/${name} waits for DNS to show ${records.slice(0, 5).join(', ')}`)
  }
  await annotate(client, server, ROTATE_DKIM, now.toISOString())
  const next = spec.dns.publish === 'ExternalDNS' ? 'external-dns publishes the new records' : 'publish the new records'
  return `mailserver/${name}: rotation of its DKIM keys asked for\nNext: ${next} (kubectl mail dns ${name}); then signing switches by itself (kubectl mail dkim ${name})\n`
}
