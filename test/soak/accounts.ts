/**
 * `npm run soak -- accounts`: thousands of MailAccounts on one MailServer with a true engine (server/main.ts on Postgres).
 * Counted are the requests to the Kubernetes API and to the engine while they are made, while nothing happens, when the
 * engine comes back, when the MailServer changes, and when the operator restarts; thrown is where that brings a storm.
 * Runs on the local API, because a real one refuses endpoints on loopback.
 * Flags: --accounts 5000, --window 120 (seconds), --double (play the engine too: the operator alone, in less time),
 * --profile DIR (CPU profiles of the operator).
 */

import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { MailAccountResource, MailServerResource, SERVER_LABEL } from '../../operator/api/group.ts'
import type { MailAccount } from '../../operator/api/mail-account.ts'
import type { KubeApi } from '../../operator/kube/client.ts'
import { findCondition } from '../../operator/kube/conditions.ts'
import { startReflector } from '../../operator/kube/reflector.ts'
import { EndpointSlice, Namespace, Secret } from '../../operator/kube/resources.ts'
import { startEngineDouble } from '../../operator/mailaccount/testing/engine.ts'
import { playTheRest } from '../../operator/mailserver/testing/cluster.ts'
import { startEngine } from '../engine.ts'
import { openControlPlane } from './control-plane.ts'
import { type Look, type OperatorProcess, quiet, since, startOperatorProcess } from './operator-process.ts'

const NAMESPACE = 'accounts'
const SERVER = 'post'

export default async function accounts(args: readonly string[]): Promise<void> {
  const { values: flags } = parseArgs({
    args: [...args],
    options: {
      accounts: { type: 'string', default: '5000' },
      window: { type: 'string', default: '120' },
      double: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  })
  const count = Number(flags.accounts)
  const windowMs = Number(flags.window) * 1000
  await using cleanup = new AsyncDisposableStack()
  const plane = cleanup.use(await openControlPlane(true))
  const { client } = plane
  const engine = flags.double ? await playedEngine(cleanup) : await trueEngine(cleanup)
  const counter = cleanup.use(await startCounter(engine.port))
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
  cleanup.defer(playTheRest(client, {}, true))
  await makeServer(client, engine.token)
  await announce(client, counter.port, true)
  const states = startReflector<MailAccount>(client, MailAccountResource)
  cleanup.defer(() => states.stop())
  const names = Array.from({ length: count }, (_, index) => `a${index}`)
  const queue = names.values()
  const create = async () => {
    for (const name of queue) await client.create(MailAccountResource, mailAccount(name))
  }
  await Promise.all(Array.from({ length: 16 }, create))
  const applied = () =>
    states.list().filter(({ status }) => findCondition(status?.conditions, 'Ready')?.reason === 'Applied').length
  const start = () => startOperatorProcess({ kubeconfig: plane.kubeconfig, profile: flags.profile })
  const rows: Row[] = []
  const measure = async (what: string, operator: OperatorProcess, act: () => Promise<unknown>) => {
    const [before, engineBefore, begun] = [await operator.look(), counter.seen(), performance.now()]
    await act()
    const row = {
      what,
      seconds: (performance.now() - begun) / 1000,
      look: since(before, await operator.look()),
      engine: counter.seen() - engineBefore,
    }
    rows.push(row)
    return row
  }

  let operator = await start()
  try {
    const made = await measure(`until all ${count} are Applied`, operator, async () => {
      while (applied() < count) await sleep(500)
      await quiet(operator)
    })
    console.log('requests by verb', made.look.byVerb, 'engine requests at once at most', counter.most())
    const still = await measure('settled window', operator, () => sleep(windowMs))
    const back = await measure('the engine goes and comes back', operator, async () => {
      await announce(client, counter.port, false)
      await announce(client, counter.port, true)
      await sleep(10_000)
    })
    const changed = await measure('the MailServer changes', operator, async () => {
      const patch = { spec: { spam: { requiredScore: 4 } } }
      await client.mergePatch(MailServerResource, { namespace: NAMESPACE, name: SERVER }, patch)
      await sleep(10_000)
    })
    console.log(`heap after collection: ${(await operator.heapMb()).toFixed(0)} MB`)
    await operator[Symbol.asyncDispose]()
    operator = await start()
    const restarted = await measure('the operator restarts', operator, async () => {
      while (((await operator.look()).reconciles.mailaccount ?? 0) < count) await sleep(200)
      await quiet(operator)
    })
    print(rows)
    const perSecond = count / 600 // each is asked about once in ten minutes
    for (const { what, seconds, look, engine } of [still, back, changed, restarted]) {
      const writes = what === changed.what ? 0 : look.writes
      if (writes > 0) throw new Error(`${what}: ${look.writes} writes`)
      if (engine > perSecond * seconds * 1.5 + 20) throw new Error(`${what}: ${engine} requests to the engine`)
    }
    if (counter.most() > 4) throw new Error(`${counter.most()} requests to the engine at once`)
  } finally {
    await operator[Symbol.asyncDispose]()
  }
}

interface Row {
  what: string
  seconds: number
  look: Look
  engine: number
}

function print(rows: readonly Row[]): void {
  console.log('\n| | time | operator’s CPU | requests to the API | of them writes | requests to the engine | RSS |')
  console.log('|---|---|---|---|---|---|---|')
  for (const { what, seconds, look, engine } of rows) {
    const { cpuSeconds, requests, writes, rssMb } = look
    const cells = [what, `${seconds.toFixed(0)} s`, `${cpuSeconds.toFixed(1)} s`, requests, writes, engine]
    console.log(`| ${cells.join(' | ')} | ${rssMb.toFixed(0)} MB |`)
  }
}

async function trueEngine(cleanup: AsyncDisposableStack) {
  const { ports, adminToken } = cleanup.use(await startEngine({ accounts: [] }))
  return { port: ports.jmap, token: adminToken }
}

async function playedEngine(cleanup: AsyncDisposableStack) {
  const { port } = cleanup.use(await startEngineDouble())
  return { port, token: 'any' }
}

/** Stands before the engine and counts: how many requests there were, and how many at once at most. */
async function startCounter(port: number) {
  let seen = 0
  let running = 0
  let most = 0
  const server = createServer((request, response) => {
    seen += 1
    running += 1
    most = Math.max(most, running)
    response.once('close', () => {
      running -= 1
    })
    const { method, url: path, headers } = request
    const onward = forward({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen: () => seen,
    most: () => most,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** With the token that the engine has already: what is there is used. */
async function makeServer(client: KubeApi, token: string): Promise<void> {
  const labels = { [SERVER_LABEL]: SERVER }
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${SERVER}-admin`, namespace: NAMESPACE, labels },
    data: { token: Buffer.from(token).toString('base64') },
  })
  await client.create(MailServerResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: MailServerResource.kind,
    metadata: { name: SERVER, namespace: NAMESPACE },
    spec: { hostname: 'mail.example.org', domains: [{ name: 'example.org' }], dns: { verify: false } },
  })
}

async function announce(client: KubeApi, port: number, ready: boolean): Promise<void> {
  const labels = { 'kubernetes.io/service-name': `${SERVER}-http`, [SERVER_LABEL]: SERVER }
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${SERVER}-http-1`, namespace: NAMESPACE, labels },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  }
  await client.apply(EndpointSlice, slice, { fieldManager: 'soak' })
}

function mailAccount(name: string) {
  return {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: MailAccountResource.kind,
    metadata: { name, namespace: NAMESPACE },
    spec: {
      serverRef: { name: SERVER },
      address: `${name}@example.org`,
      aliases: [`${name}.alias@example.org`],
      quota: '1Gi',
    },
  }
}
