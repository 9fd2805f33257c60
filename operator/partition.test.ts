/**
 * Two operators, each with a way of its own to the API. The one that leads is cut off from it for longer than its Lease:
 * it ends, the other takes over, and of their writes none comes between the other's.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MailServerResource } from './api/group.ts'
import { type ApiProxy, startApiProxy } from './kube/api-proxy.ts'
import { Deployment, Lease } from './kube/resources.ts'
import type { KubeObject } from './kube/types.ts'
import { isReady, openTestCluster } from './mailserver/testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const directory = await mkdtemp(join(tmpdir(), 'operator-partition-'))
const processes: ChildProcess[] = []
const proxies = new AsyncDisposableStack()
after(async () => {
  for (const child of processes) if (child.exitCode === null) child.kill('SIGKILL')
  await proxies.disposeAsync()
  await rm(directory, { recursive: true, force: true })
})

interface Started {
  child: ChildProcess
  ended: Promise<unknown[]>
  proxy: ApiProxy
}

async function start(name: string): Promise<Started> {
  const proxy = await startApiProxy(await cluster.operatorConfig())
  proxies.use(proxy)
  const kubeconfig = join(directory, name)
  await writeFile(kubeconfig, proxy.kubeconfig, { mode: 0o600 })
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env.PATH ?? '',
      KUBECONFIG: kubeconfig,
      POD_NAME: name,
      HEALTH_PORT: '0',
      LOG_LEVEL: 'silent',
      ENGINE_IMAGE: 'engine:1',
      WATCH_NAMESPACES: namespace,
      LEADER_ELECTION_NAMESPACE: namespace,
      LEADER_ELECTION_LEASE_SECONDS: '10',
      LEADER_ELECTION_RENEW_SECONDS: '8',
      LEADER_ELECTION_RETRY_SECONDS: '0.5',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  processes.push(child)
  return { child, ended: once(child, 'exit'), proxy }
}

const leader = async () => {
  const lease = await client.find<KubeObject<{ holderIdentity?: string }>>(Lease, { namespace, name: 'mail-operator' })
  return lease?.spec?.holderIdentity ?? ''
}
const leads = (name: string) =>
  cluster.eventually(async () => (await leader()).startsWith(`${name}_`), `${name} to lead`)
const scale = (replicas: number) =>
  client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { replicas } })
const replicas = async () =>
  (await client.get<KubeObject<{ replicas: number }>>(Deployment, { namespace, name: 'post' })).spec?.replicas
/** resourceVersions of what a process has written, but for the Lease; what was refused or never answered has none. */
const writes = ({ proxy }: Started) =>
  proxy.requests
    .filter(({ method, path }) => method !== 'GET' && !path.includes('/leases'))
    .flatMap(({ resourceVersion }) => (resourceVersion ? [Number(resourceVersion)] : []))

/** Of the writes of two that led one after the other. */
function assertApart(before: readonly number[], after: readonly number[]): void {
  const last = Math.max(...before)
  for (const version of after) assert.ok(version > last, `${version} was written before ${last}`)
}

let second: Started

test('a leader that is cut off ends, and the next one goes on', async () => {
  const first = await start('first')
  await leads('first')
  second = await start('second')
  await cluster.mailServer('post', { dns: { verify: false } })
  await cluster.until('post', isReady, 'post to be Ready')
  assert.ok(writes(first).length > 10)
  assert.deepEqual(writes(second), [])

  first.proxy.cut()
  await scale(3)
  await leads('second')
  await cluster.eventually(async () => (await replicas()) === 3, 'the second to scale')
  assert.deepEqual(await first.ended, [1, null])
  assertApart(writes(first), writes(second))
})

test('a leader that stood still and goes on when another leads writes nothing any more', async () => {
  const third = await start('third')
  await cluster.eventually(async () => third.proxy.requests.some(({ path }) => path.includes('/leases')), 'a standby')
  const before = writes(second)
  second.child.kill('SIGSTOP')
  // Waits in its sockets, to be done the moment it goes on.
  await scale(4)
  await leads('third')
  await cluster.eventually(async () => (await replicas()) === 4, 'the third to scale')
  await client.mergePatch(Deployment, { namespace, name: 'post' }, { spec: { replicas: 9 } })
  second.child.kill('SIGCONT')
  assert.deepEqual(await second.ended, [1, null])
  await cluster.eventually(async () => (await replicas()) === 4, 'the third to undo the change')
  assert.deepEqual(writes(second), before)
  assertApart(before, writes(third))
})
