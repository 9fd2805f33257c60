/**
 * The whole platform on a real node: image, chart, real CloudNativePG, real MinIO, restricted Pod security, mail over
 * the load balancer, and what happens to it when Pods die and roll. The tests follow one another.
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isBuilt } from '../cluster-tool.ts'
import { type MailboxAccess, messagesOf, startMailFlow } from './mail-flow.ts'
import {
  addOn,
  applyMailServer,
  installOperator,
  loadImage,
  NAMESPACE,
  OPERATOR_NAMESPACE,
  type Platform,
  platformOn,
  report,
} from './platform.ts'

const directory = process.env.NODE_CLUSTER
const missing = (['helm', 'cnpg', 'minio'] as const).filter((name) => !isBuilt(name))
const skip = !directory
  ? 'NODE_CLUSTER is not set (npm run test:node)'
  : missing.length > 0
    ? `not built here: ${missing.join(', ')}`
    : false
if (skip) console.log(`SKIPPED: node tests: ${skip}`)
const here = { skip }

const ENGINES = 'app.kubernetes.io/name=mail-engine,app.kubernetes.io/instance=stalwart'
interface Pod {
  metadata: { name: string; uid: string; deletionTimestamp?: string }
  status: { conditions?: { type: string; status: string }[]; containerStatuses?: { restartCount: number }[] }
}

let platform: Platform
let failed = false

before(async () => {
  if (skip || !directory) return
  platform = platformOn(directory)
  await loadImage(directory)
  await Promise.all([addOn('cnpg', directory), addOn('minio', directory)])
  await installOperator(platform, directory)
  await applyMailServer(platform)
})
after(async () => {
  if (failed) console.error(await report(platform))
})
const step = (name: string, run: () => Promise<void>) =>
  test(name, here, async () => {
    try {
      await run()
    } catch (error) {
      failed = true
      throw error
    }
  })

async function engines(): Promise<Pod[]> {
  const { items } = await platform.json<{ items: Pod[] }>('-n', NAMESPACE, 'get', 'pods', '-l', ENGINES)
  return items.filter(({ metadata }) => !metadata.deletionTimestamp)
}
const isReady = ({ status }: Pod) =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

async function readyEngines(count: number): Promise<Pod[]> {
  for (;;) {
    const pods = await engines()
    if (pods.length === count && pods.every(isReady)) return pods
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

async function secretValue(name: string, key: string): Promise<string> {
  const { data } = await platform.json<{ data: Record<string, string> }>('-n', NAMESPACE, 'get', 'secret', name)
  return Buffer.from(data[key] ?? '', 'base64').toString()
}

async function address(): Promise<string> {
  const { status } = await platform.json<{ status: { loadBalancer: { ingress?: { ip: string }[] } } }>(
    '-n',
    NAMESPACE,
    'get',
    'service',
    'stalwart',
  )
  return status.loadBalancer.ingress?.[0]?.ip ?? assert.fail('the Service has no address')
}

async function mailboxOf(account: string): Promise<MailboxAccess> {
  return {
    host: await address(),
    user: `${account}@example.org`,
    password: await secretValue(`${account}-password`, 'password'),
    ca: await secretValue('stalwart-tls', 'ca.crt'),
    servername: 'mail.example.org',
  }
}

/** Every acknowledged message is there once; nothing else can be twice. */
async function assertAllOnce(account: string, acknowledged: readonly string[]): Promise<void> {
  const found = await messagesOf(await mailboxOf(account))
  const lost = acknowledged.filter((id) => !found.has(id))
  const twice = [...found].filter(([, count]) => count > 1).map(([id]) => id)
  assert.deepEqual({ lost, twice }, { lost: [], twice: [] }, `of ${acknowledged.length} acknowledged`)
}

step('one YAML becomes a mail service: MailServer and accounts are Ready, with two engine Pods', async () => {
  await platform.kubectl('-n', NAMESPACE, 'wait', 'mailserver/stalwart', '--for=condition=Ready', '--timeout=600s')
  await platform.kubectl('-n', NAMESPACE, 'wait', 'mailaccount', '--all', '--for=condition=Ready', '--timeout=120s')
  assert.equal((await readyEngines(2)).length, 2)
})

step('the engines run as nobody special on a root file system they cannot write', async () => {
  const [pod] = await engines()
  const script = `
    const { writeFileSync } = require('node:fs')
    let written = 'yes'
    try { writeFileSync('/app/x', '') } catch (error) { written = error.code }
    writeFileSync('/tmp/x', '')
    console.log(JSON.stringify({ uid: process.getuid(), written }))`
  const out = await platform.kubectl('-n', NAMESPACE, 'exec', pod?.metadata.name ?? '', '--', 'node', '-e', script)
  assert.deepEqual(JSON.parse(out), { uid: 1000, written: 'EROFS' })
})

step('mail to port 25 of the load balancer is read on 993, with a certificate that verifies', async () => {
  const flow = startMailFlow(await address(), 'bob@example.org', 1)
  while (flow.acknowledged.length < 5 && flow.refused.length < 20)
    await new Promise((resolve) => setTimeout(resolve, 50))
  await flow.stop()
  assert.deepEqual(flow.refused, [])
  await assertAllOnce('bob', flow.acknowledged)
})

step('a Pod killed and a rolling restart while mail flows lose nothing that was acknowledged', async () => {
  const flow = startMailFlow(await address(), 'alice@example.org', 4)
  const acknowledged = async (more: number) => {
    const goal = flow.acknowledged.length + more
    while (flow.acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await acknowledged(50)
  const [victim] = await readyEngines(2)
  await platform.kubectl('-n', NAMESPACE, 'delete', 'pod', victim?.metadata.name ?? '', '--grace-period=0', '--force')
  await acknowledged(50)
  const before = await readyEngines(2)
  const refusedByKill = flow.refused.length
  await platform.kubectl('-n', NAMESPACE, 'rollout', 'restart', 'deployment/stalwart')
  await platform.kubectl('-n', NAMESPACE, 'rollout', 'status', 'deployment/stalwart', '--timeout=300s')
  const after = await readyEngines(2)
  await acknowledged(50)
  await flow.stop()
  assert.ok(!after.some(({ metadata }) => before.some((old) => old.metadata.uid === metadata.uid)), 'all Pods are new')
  console.log(
    `acknowledged ${flow.acknowledged.length}; refused by the kill ${refusedByKill}, by the rolling restart ${
      flow.refused.length - refusedByKill
    }: ${[...new Set(flow.refused)].join(' | ')}`,
  )
  await assertAllOnce('alice', flow.acknowledged)
})

step('a new operator Pod restarts no engine and writes nothing to a settled service', async () => {
  const versions = async () => {
    const { items } = await platform.json<{ items: { kind: string; metadata: Record<string, string> }[] }>(
      '-n',
      NAMESPACE,
      'get',
      'deployments,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,serviceaccounts',
      '-l',
      'mail.openova.io/server=stalwart',
    )
    return items.map(
      ({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.generation ?? metadata.resourceVersion}`,
    )
  }
  const pods = (await readyEngines(2)).map(({ metadata }) => metadata.uid).sort()
  const before = await versions()
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'restart', 'deployment/mail-operator')
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'status', 'deployment/mail-operator', '--timeout=120s')
  const lease = async () =>
    (
      await platform.json<{ spec: { holderIdentity: string } }>(
        '-n',
        OPERATOR_NAMESPACE,
        'get',
        'lease',
        'mail-operator',
      )
    ).spec.holderIdentity
  const { items } = await platform.json<{ items: Pod[] }>('-n', OPERATOR_NAMESPACE, 'get', 'pods')
  const names = items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name)
  for (let held = await lease(); !names.some((name) => held.startsWith(name)); held = await lease()) {
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  // The new leader looks at everything at once; a change that makes it look again shows that it did.
  await platform.kubectl(
    '-n',
    NAMESPACE,
    'annotate',
    'mailserver/stalwart',
    '--overwrite',
    `mail.openova.io/reconcile-at=${Date.now()}`,
  )
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  assert.deepEqual(await versions(), before)
  assert.deepEqual((await readyEngines(2)).map(({ metadata }) => metadata.uid).sort(), pods)
})

step('a Service deleted by hand comes back', async () => {
  await platform.kubectl('-n', NAMESPACE, 'delete', 'service', 'stalwart-http')
  await platform.kubectl('-n', NAMESPACE, 'wait', 'service/stalwart-http', '--for=create', '--timeout=60s')
})

step('kubectl scale starts a third engine', async () => {
  await platform.kubectl('-n', NAMESPACE, 'scale', 'mailserver/stalwart', '--replicas=3')
  assert.equal((await readyEngines(3)).length, 3)
})
