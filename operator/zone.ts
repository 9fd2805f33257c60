/**
 * `npm run dns -- [-n NAMESPACE] [NAME]`: the records of a MailServer as a zone file, from its status in the cluster that
 * KUBECONFIG names. With `-f FILE` (`-`: stdin) without a cluster: then it says what it cannot know.
 */

import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { MailServerResource } from './api/group.ts'
import type { MailServer } from './api/mail-server.ts'
import type { MailServerSpec } from './api/mail-server-spec.ts'
import type { DnsRecord } from './dns/records.ts'
import { zoneFile } from './dns/zone.ts'
import { createKubeClient, loadKubeConfig } from './kube/client.ts'
import { recordsOf } from './mailserver/desired/dns-endpoint.ts'
import { NOT_YET } from './mailserver/desired/foreseen.ts'
import { contextsOf } from './render.ts'

/**
 * @param yaml with one MailServer or more
 * @throws InvalidSpec naming the fields
 */
export function zoneOfFile(yaml: string, addresses: readonly string[]): string {
  return contextsOf(yaml, { image: '', addresses })
    .map(({ server, spec, facts }) => {
      const unknown = unknownOf(spec, addresses).map((line) => `; - ${line}\n`)
      const heading = `; ${server.namespace}/${server.name}, from its file alone. status.dns.zone of the running server has what is not known yet:\n`
      const isPlaceholder = ({ value }: DnsRecord) => value.includes(NOT_YET)
      return `${heading}${unknown.join('')}${zoneFile(recordsOf(spec, facts), spec.dns.ttlSeconds, isPlaceholder)}`
    })
    .join('\n')
}

/** What a file does not tell, and where it would stand. */
function unknownOf({ ingress, gateway, dns, service }: MailServerSpec, addresses: readonly string[]): string[] {
  return [
    'the DKIM keys: their records are comments below',
    ...(addresses.length > 0
      ? []
      : [
          `the addresses of the ${gateway?.mail ? 'Gateway' : `Service (${service.type})`}: no A, AAAA and PTR, none in SPF (--address tells them)`,
        ]),
    ...(ingress || gateway
      ? [
          `the addresses of the ${ingress ? 'Ingress' : 'Gateway'}: the names for HTTP are aliases of the host name here`,
        ]
      : []),
    ...(dns.tlsa.enabled ? ['the key of the certificate: no TLSA'] : []),
  ]
}

/** What status.dns lists; empty while the operator has not looked at the server. */
export function zoneOfServer({ spec, status }: MailServer): string {
  const { zone, records = [], omitted = 0 } = status?.dns ?? {}
  if (zone !== undefined) return zone
  const text = zoneFile(records as DnsRecord[], spec.dns.ttlSeconds)
  return omitted === 0
    ? text
    : `${text}\n; ${omitted} published records are not among these: status has no room for them\n`
}

async function zoneFromCluster(namespace: string, name: string | undefined): Promise<string> {
  await using client = createKubeClient({ kubeConfig: loadKubeConfig(), userAgent: 'mail-operator-dns/0.1.0' })
  if (name) return zoneOfServer(await client.get<MailServer>(MailServerResource, { namespace, name }))
  const { items } = await client.list<MailServer>(MailServerResource, { namespace })
  if (items.length === 0) throw new Error(`there is no MailServer in namespace ${namespace}`)
  return items.map(zoneOfServer).join('\n')
}

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        file: { type: 'string', short: 'f' },
        namespace: { type: 'string', short: 'n', default: 'default' },
        address: { type: 'string', multiple: true, default: [] },
      },
    })
    const text = values.file
      ? zoneOfFile(await readFile(values.file === '-' ? '/dev/stdin' : values.file, 'utf8'), values.address)
      : await zoneFromCluster(values.namespace, positionals[0])
    process.stdout.write(text)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
