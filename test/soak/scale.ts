/**
 * `npm run soak -- scale`: many MailServers on one operator, with many Secrets that are none of its business. Measured
 * from outside are settling, a settled window, a restart and a whole resync, and how long one that is changed waits to be
 * seen in each; thrown is where settled is not silent.
 * Flags: --servers 1000, --secrets 20000, --window 300 (seconds), --resync 120 (seconds, after the restart),
 * --local (the local API although a real control plane could be had), --profile DIR (CPU profiles of the operator).
 */

import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { MailServerResource } from '../../operator/api/group.ts'
import type { MailServer } from '../../operator/api/mail-server.ts'
import { startReflector } from '../../operator/kube/reflector.ts'
import { Namespace, Secret } from '../../operator/kube/resources.ts'
import { OPTIONAL_KINDS } from '../../operator/mailserver/kinds.ts'
import { isReady, playTheRest } from '../../operator/mailserver/testing/cluster.ts'
import { startDnsServer } from '../e2e/dns-server.ts'
import { openControlPlane } from './control-plane.ts'
import { type Look, quiet, since, startOperatorProcess } from './operator-process.ts'

const NAMESPACES = 20

export default async function scale(args: readonly string[]): Promise<void> {
  const { values: flags } = parseArgs({
    args: [...args],
    options: {
      servers: { type: 'string', default: '1000' },
      secrets: { type: 'string', default: '20000' },
      window: { type: 'string', default: '300' },
      resync: { type: 'string', default: '120' },
      local: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  })
  const servers = Number(flags.servers)
  const secrets = Number(flags.secrets)
  const windowMs = Number(flags.window) * 1000
  await using cleanup = new AsyncDisposableStack()
  const plane = cleanup.use(await openControlPlane(flags.local))
  const dns = cleanup.use(await startDnsServer(() => [])) // says of every record that it does not exist
  const { client } = plane
  await atOnce(range(NAMESPACES), (index) =>
    client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespaceOf(index) } }),
  )
  await atOnce(range(secrets), (index) => client.create(Secret, foreignSecret(index)))
  cleanup.defer(playTheRest(client, {}, plane.local))
  const states = startReflector<MailServer>(client, MailServerResource, { transform: essence })
  cleanup.defer(() => states.stop())
  await atOnce(range(servers), (index) => client.create(MailServerResource, mailServer(index, dns.address)))
  const ready = () => states.list().filter(isReady).length
  /** Changes the spec of one. @returns milliseconds until its status says that the operator has seen it */
  async function change(index: number): Promise<number> {
    const key = { namespace: namespaceOf(index), name: nameOf(index) }
    const begun = performance.now()
    const patch = { spec: { spam: { rejectScore: 16 } } }
    const { metadata } = await client.mergePatch<MailServer>(MailServerResource, key, patch)
    while (states.get(key)?.status?.observedGeneration !== metadata.generation) await sleep(20)
    return Math.round(performance.now() - begun)
  }
  const start = (env: Record<string, string>) =>
    startOperatorProcess({ kubeconfig: plane.kubeconfig, env, profile: flags.profile })
  const rows: Row[] = []
  console.log(`${servers} MailServers and ${secrets} other Secrets on ${plane.name}; ${availableParallelism()} cores`)

  let silent: Look
  {
    await using operator = await start({})
    const begun = performance.now()
    const shares = [0.1, 0.5, 0.9, 1]
    let waited: Promise<number> | undefined
    while (ready() < servers) {
      await sleep(1_000)
      if (!waited && states.list().filter(isSeen).length >= servers / 2) waited = change(0)
      while (ready() >= servers * (shares[0] ?? 2)) {
        console.log(`${100 * (shares.shift() ?? 0)}% Ready after ${seconds(performance.now() - begun)}`)
      }
    }
    const all = await operator.look()
    rows.push(['until all are Ready', seconds(performance.now() - begun), all])
    console.log(`changed while half are still unseen: seen after ${await waited} ms`)
    const settled = await quiet(operator)
    rows.push([`… and quiet: ${(settled.requests / servers).toFixed(1)} requests per server`, '', settled])
    console.log('requests while settling', settled.byVerb, 'reconciles', settled.reconciles)
    await sleep(windowMs)
    silent = since(settled, await operator.look())
    rows.push(['settled window', seconds(windowMs), silent])
    console.log('requests in the settled window', silent.byVerb)
    console.log(`CPU per settled minute: ${((silent.cpuSeconds * 60_000) / windowMs).toFixed(2)} s`)
    console.log(`heap after collection: ${(await operator.heapMb()).toFixed(0)} MB`)
    console.log(`changed among settled ones: seen after ${await change(1)} ms`)
  }

  const resyncMs = Number(flags.resync) * 1000
  await using operator = await start({ RESYNC_SECONDS: flags.resync })
  const restarted = performance.now()
  const last = change(servers - 1)
  while (((await operator.look()).reconciles.mailserver ?? 0) < servers) await sleep(500)
  const looked = await operator.look()
  rows.push(['restart: all looked at', seconds(performance.now() - restarted), looked])
  console.log('requests after the restart', looked.byVerb)
  console.log(`changed as the operator restarts: seen after ${await last} ms`)
  const before = await quiet(operator)
  await sleep(resyncMs * 1.1)
  const resync = since(before, await operator.look())
  rows.push([
    `a resync in ${resyncMs / 1000} s: ${resync.reconciles.mailserver} reconciles`,
    seconds(resyncMs * 1.1),
    resync,
  ])
  print(rows)

  // Every ten minutes it is looked which kinds of others are served, for all MailServers together.
  const { get = 0 } = silent.byVerb
  if (silent.requests > get || get > OPTIONAL_KINDS.length)
    throw new Error(`settled is not silent: ${JSON.stringify(silent.byVerb)}`)
  if (resync.writes > 0) throw new Error('the resync wrote something')
  if (before.writes > CHANGE_WRITES) throw new Error('the restarted operator wrote something')
}

/** What the change of one MailServer makes of writes: its configuration and its status. */
const CHANGE_WRITES = 2

type Row = [what: string, time: string, look: Look]

function print(rows: readonly Row[]): void {
  console.log('\n| | time | CPU | requests | of them writes | watches | RSS | highest RSS |')
  console.log('|---|---|---|---|---|---|---|---|')
  for (const [what, time, { cpuSeconds, requests, writes, watches, rssMb, peakRssMb }] of rows) {
    const cells = [what, time, `${cpuSeconds.toFixed(1)} s`, requests, writes, watches, mb(rssMb), mb(peakRssMb)]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`
const mb = (value: number) => `${Math.round(value)} MB`
const range = (count: number) => Array.from({ length: count }, (_, index) => index)
const nameOf = (index: number) => `mail-${index}`
const namespaceOf = (index: number) => `scale-${index % NAMESPACES}`

function mailServer(index: number, resolver: string) {
  const domain = `d${index}.example.org`
  return {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: MailServerResource.kind,
    metadata: { name: nameOf(index), namespace: namespaceOf(index) },
    spec: {
      hostname: `mail.${domain}`,
      domains: [{ name: domain }],
      replicas: 1,
      service: { type: 'ClusterIP' },
      dns: { resolvers: [resolver] },
    },
  }
}

/** As Helm's and the service accounts': some kilobytes that nobody but their owner wants. */
function foreignSecret(index: number) {
  const data = { release: Buffer.alloc(3_000, `${index} `).toString('base64') }
  const metadata = { name: `foreign-${index}`, namespace: namespaceOf(index), labels: { owner: 'helm' } }
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }
}

/** What `isReady` reads: the soak must not hold a second copy of everything. */
function essence({ apiVersion, kind, metadata, spec, status }: MailServer): MailServer {
  const { name, namespace = '', uid = '', resourceVersion = '', generation = 0 } = metadata
  const kept = { name, namespace, uid, resourceVersion, generation }
  const { conditions = [], observedGeneration = 0 } = status ?? {}
  return { apiVersion, kind, metadata: kept, spec, status: { conditions, observedGeneration } }
}

const isSeen = ({ status }: MailServer): boolean => (status?.observedGeneration ?? 0) > 0

/** Some at a time. */
async function atOnce(indices: readonly number[], work: (index: number) => Promise<unknown>): Promise<void> {
  const queue = indices.values()
  const worker = async () => {
    for (const index of queue) await work(index)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
