/** The operator as a process: it leads, it tells that it is well, and SIGTERM hands over to the next one. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { customResourceDefinitions } from './api/crds.ts'
import { API_VERSION, MailServerResource } from './api/group.ts'
import { createKubeClient } from './kube/client.ts'
import { CustomResourceDefinition, Lease } from './kube/resources.ts'
import { startApiServer } from './local/apiserver/server.ts'

const directory = await mkdtemp(join(tmpdir(), 'operator-main-'))
const api = await startApiServer({})
const kubeconfig = join(directory, 'kubeconfig')
await writeFile(kubeconfig, api.kubeconfig, { mode: 0o600 })
const config = new KubeConfig()
config.loadFromString(api.kubeconfig)
const client = createKubeClient({ kubeConfig: config, userAgent: 'test' })
for (const crd of customResourceDefinitions()) await client.create(CustomResourceDefinition, crd)

const running = new Set<ChildProcess>()
after(async () => {
  for (const child of running) child.kill('SIGKILL')
  await client[Symbol.asyncDispose]()
  await api.close()
  await rm(directory, { recursive: true, force: true })
})

/** A process, and a way to wait for a line of its log. */
function start(name: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [new URL('main.ts', import.meta.url).pathname], {
    env: { PATH: process.env.PATH ?? '', KUBECONFIG: kubeconfig, POD_NAME: name, HEALTH_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const lines: string[] = []
  const waiting: { text: string; resolve: (line: string) => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const { text, resolve } of waiting) if (line.includes(text)) resolve(line)
  })
  const said = (text: string): Promise<string> => {
    const known = lines.find((line) => line.includes(text))
    return known ? Promise.resolve(known) : new Promise((resolve) => waiting.push({ text, resolve }))
  }
  return { child, said }
}

const holder = async () =>
  (
    await client.get<import('./kube/types.ts').KubeObject<{ holderIdentity?: string }>>(Lease, {
      namespace: 'default',
      name: 'mail-operator',
    })
  ).spec?.holderIdentity

test('SIGTERM gives the Lease back, and the next process leads at once', async () => {
  const first = start('first', {})
  await first.said('leader election: leading')
  await first.said('"controller":"mailaccount"')
  assert.match((await holder()) ?? '', /^first_/)

  // What cannot be used is told, with the id of the reconcile that found it.
  await client.create(MailServerResource, {
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    metadata: { name: 'no-image', namespace: 'default' },
    spec: { hostname: 'mail.example.org', domains: [{ name: 'example.org' }] },
  })
  assert.match(await first.said('reconcile: failed for good'), /"reconcileID":"[0-9a-f-]{36}".*NoImage/)

  const second = start('second', {})
  await second.said('another process leads')
  const handedOver = once(first.child, 'exit')
  first.child.kill('SIGTERM')
  assert.deepEqual(await handedOver, [0, null])
  await first.said('Lease given back')
  await second.said('leader election: leading')
  assert.match((await holder()) ?? '', /^second_/)

  const ended = once(second.child, 'exit')
  second.child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})

test('one with another Lease that watches the same leaves alone what the first looks after', async () => {
  const first = start('first', { LEADER_ELECTION_NAME: 'first' })
  await first.said('"controller":"mailserver"')
  await client.create(MailServerResource, {
    apiVersion: API_VERSION,
    kind: MailServerResource.kind,
    metadata: { name: 'theirs', namespace: 'default' },
    spec: { hostname: 'mail.example.org', domains: [{ name: 'example.org' }] },
  })
  await first.said('"key":"default/theirs"')
  const second = start('second', { LEADER_ELECTION_NAME: 'second' })
  assert.match(
    await second.said('"mailServer":"default/theirs"'),
    /"lease":"default\/second","holder":"default\/first","msg":"another operator looks after this MailServer"/,
  )
})

test('a bad environment ends it with the names of the variables', async () => {
  const child = spawn(process.execPath, [new URL('main.ts', import.meta.url).pathname], {
    env: { PATH: process.env.PATH ?? '', KUBECONFIG: kubeconfig, HEALTH_PORT: 'x' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  running.add(child)
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const [code] = await once(child, 'exit')
  running.delete(child)
  assert.equal(code, 1)
  assert.doesNotMatch(text, /at main/)
  assert.match(text, /HEALTH_PORT: must be a number/)
})
