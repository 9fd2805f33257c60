/**
 * `npm run soak -- settled`: the operator's process, with leader election, and one MailServer with two accounts. Every
 * request is counted on its way to the API: a new MailServer settles within 60, and a settled one causes none but
 * watches and renewals of the Lease. Throws where that is not so. Flags: --seconds 300.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { KubeConfig } from '@kubernetes/client-node'
import { API_VERSION, MailAccountResource, MailServerResource, SERVER_LABEL } from '../../operator/api/group.ts'
import type { MailAccount } from '../../operator/api/mail-account.ts'
import type { MailServer } from '../../operator/api/mail-server.ts'
import { type ProxiedRequest, startApiProxy } from '../../operator/kube/api-proxy.ts'
import { findCondition } from '../../operator/kube/conditions.ts'
import { EndpointSlice, Namespace } from '../../operator/kube/resources.ts'
import { isReady, playTheRest } from '../../operator/mailserver/testing/cluster.ts'
import { startDnsServer } from '../e2e/dns-server.ts'
import { openControlPlane } from './control-plane.ts'
import { startOperatorProcess } from './operator-process.ts'

const namespace = 'soak'
const MOST_REQUESTS = 60

export default async function settled(args: readonly string[]): Promise<void> {
  const { values: flags } = parseArgs({ args: [...args], options: { seconds: { type: 'string', default: '300' } } })
  const seconds = Number(flags.seconds)
  await using cleanup = new AsyncDisposableStack()
  const plane = cleanup.use(await openControlPlane(false))
  if (plane.local) throw new Error('this needs a real control plane: KUBECONFIG_UNDER_TEST, or the tool "cluster"')
  const { client } = plane
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(plane.kubeconfig)
  const proxy = cleanup.use(await startApiProxy(kubeConfig))
  const dns = cleanup.use(await startDnsServer(() => []))
  const engine = cleanup.use(await startEngine())
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  cleanup.defer(playTheRest(client, { namespace }, false))
  cleanup.use(
    await startOperatorProcess({
      kubeconfig: proxy.kubeconfig,
      env: { WATCH_NAMESPACES: namespace, LEADER_ELECTION_NAMESPACE: namespace },
    }),
  )
  await until(() => proxy.requests.some(isLease), 'the operator to lead')
  await quiet(proxy.requests)
  const beforeServer = proxy.requests.length
  const object = (kind: string, name: string, spec: Record<string, unknown>) => ({
    apiVersion: API_VERSION,
    kind,
    metadata: { name, namespace },
    spec,
  })
  const spec = { hostname: 'mail.example.org', domains: [{ name: 'example.org' }], dns: { resolvers: [dns.address] } }
  await client.create(MailServerResource, object('MailServer', 'post', spec))
  await until(async () => {
    const found = await client.get<MailServer>(MailServerResource, { namespace, name: 'post' })
    return isReady(found) && findCondition(found.status?.conditions, 'DNSReady')?.status === 'False'
  }, 'post to be Ready')
  await quiet(proxy.requests)
  const settling = proxy.requests.slice(beforeServer).filter(isCounted)
  console.log(`a new MailServer settled within ${settling.length} requests`)
  console.log(summary(settling))

  // The Pods run on no node, so no endpoint leads to them; one leads to the engine that is played.
  const labels = { 'kubernetes.io/service-name': 'post-http', [SERVER_LABEL]: 'post' }
  await client.create(EndpointSlice, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: EndpointSlice.kind,
    metadata: { name: 'post-http-soak', namespace, labels },
    addressType: 'IPv4',
    endpoints: [{ addresses: [engine.address], conditions: { ready: true } }],
    ports: [{ name: 'http', port: engine.port, protocol: 'TCP' }],
  })
  const beforeAccounts = proxy.requests.length
  for (const name of ['alice', 'bob']) {
    const account = { serverRef: { name: 'post' }, address: `${name}@example.org` }
    await client.create(MailAccountResource, object('MailAccount', name, account))
    await until(async () => {
      const found = await client.get<MailAccount>(MailAccountResource, { namespace, name })
      return findCondition(found.status?.conditions, 'Ready')?.status === 'True'
    }, `${name} to be Ready`)
  }
  await quiet(proxy.requests)
  const accounts = proxy.requests.slice(beforeAccounts).filter(isCounted)
  console.log(`two accounts took ${accounts.length} requests more`)

  const from = proxy.requests.length
  await sleep(seconds * 1000)
  const all = proxy.requests.slice(from)
  const counted = all.filter(isCounted)
  const watches = all.filter(isWatch).length
  const leases = all.filter(isLease).length
  console.log(`settled, in ${seconds} s: ${watches} watches, ${leases} for the Lease, ${counted.length} other requests`)
  if (counted.length > 0) throw new Error(`settled is not silent:\n${summary(counted)}`)
  if (settling.length > MOST_REQUESTS) throw new Error(`a new MailServer took more than ${MOST_REQUESTS} requests`)
}

const isWatch = ({ path }: ProxiedRequest) => path.includes('watch=true')
const isLease = ({ path }: ProxiedRequest) => path.includes('/leases')
const isCounted = (request: ProxiedRequest) => !isWatch(request) && !isLease(request)

function summary(requests: readonly ProxiedRequest[]): string {
  const counts = new Map<string, number>()
  for (const { method, path } of requests) {
    const line = `${method} ${path.replace(/\?.*/, '')}`
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  return [...counts].map(([line, count]) => `  ${count} ${line}`).join('\n')
}

/** No request but watches and those about the Lease for some seconds. */
async function quiet(requests: readonly ProxiedRequest[]): Promise<void> {
  for (let before = -1; ; ) {
    const now = requests.filter(isCounted).length
    if (now === before) return
    before = now
    await sleep(10_000)
  }
}

async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 120_000
  while (!(await is())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`)
    await sleep(200)
  }
}

/** The admin API of an engine that has every account it is told of. */
async function startEngine(): Promise<AsyncDisposable & { address: string; port: number }> {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  // The API server takes no loopback address for an endpoint's.
  const address = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  if (!address) throw new Error('this machine has no IPv4 address but loopback')
  const known = new Set<string>()
  const server = createServer((request, response) => {
    const account = decodeURIComponent(request.url?.split('/').at(-1) ?? '')
    if (request.method === 'PUT') known.add(account)
    request.resume()
    if (!known.has(account)) return void response.writeHead(404).end('{"detail":"no such account"}')
    const body = JSON.stringify({ account: { address: account, usedBytes: 5_000_000, quotaBytes: null } })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, address, resolve))
  return {
    address,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
