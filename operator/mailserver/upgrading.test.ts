/** Upgrades of the engines against a Kubernetes API: checked first, one MailServer at a time, never back unasked. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Deployment, Job } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'
import { runningImage } from './upgrade.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted, writes, quiet } = await cluster.countingClient()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test', resyncMs: 600_000 },
  { client: counted, verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' })) },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const NAMES = ['one', 'two', 'three']
for (const name of NAMES) await cluster.mailServer(name)
for (const name of NAMES) await cluster.until(name, isReady, `${name} to be Ready`)

const setImage = (name: string, image: string | null, annotations: Record<string, string> = {}) =>
  client.mergePatch(MailServerResource, { namespace, name }, { metadata: { annotations }, spec: { image } })
const imageOf = async (name: string) => runningImage(await cluster.get(Deployment, name))
const jobsOf = async (name: string) =>
  (await client.list(Job, { namespace, labelSelector: `${SERVER_LABEL}=${name}` })).items
const noJobs = (name: string) => cluster.eventually(async () => (await jobsOf(name)).length === 0, `${name}: no Job`)
const stalledMessage = async (name: string, reason: string) =>
  findCondition(
    (await cluster.until(name, (found) => reasonOf(found, 'Stalled') === reason, `${name}: ${reason}`)).status
      ?.conditions,
    'Stalled',
  )?.message ?? ''

test('an upgrade is checked by a Job of the new image, and then rolled out', async () => {
  await setImage('one', 'engine:2')
  const upgraded = await cluster.until(
    'one',
    (found) => isReady(found) && found.status?.image === 'engine:2' && !reasonOf(found, 'Reconciling'),
    'engine:2',
  )
  assert.equal(upgraded.status?.version, '2')
  assert.equal(await imageOf('one'), 'engine:2')
  await noJobs('one')
  const [made] = writes.filter((write) => write.startsWith('apply Job one-preflight-'))
  assert.ok(made)
  assert.ok(writes.indexOf(made) < writes.lastIndexOf('apply Deployment one'))
  await quiet(operator)
  const before = writes.length
  operator.controllers[0]?.queue.add({ namespace, name: 'one' })
  await quiet(operator)
  assert.deepEqual(writes.slice(before), [])
})

test('going back across a schema migration is refused, and the engines are not touched', async () => {
  await setImage('one', 'engine:old')
  const message = await stalledMessage('one', 'DowngradeRefused')
  assert.match(message, /engine:old is refused.*schema migration.*go on with engine:2.*Job one-preflight-/)
  const refused = await cluster.until('one', (found) => reasonOf(found, 'Ready') === 'DowngradeRefused', 'Ready=False')
  assert.equal(findCondition(refused.status?.conditions, 'EngineAvailable')?.status, 'True')
  assert.equal(refused.status?.image, 'engine:2')
  assert.equal(await imageOf('one'), 'engine:2')
  await quiet(operator)
  const before = writes.length
  operator.controllers[0]?.queue.add({ namespace, name: 'one' })
  await quiet(operator)
  assert.deepEqual(writes.slice(before), [], 'a refusal is said once')
})

test('the refused image set back heals at once; a person may let it through', async () => {
  await setImage('one', 'engine:2')
  await cluster.until('one', (found) => isReady(found) && !reasonOf(found, 'Stalled'), 'one to be well again')
  await noJobs('one')
  await setImage('one', 'engine:old', { 'mail.openova.io/skip-preflight': 'engine:old' })
  await cluster.until('one', (found) => isReady(found) && found.status?.image === 'engine:old', 'engine:old')
})

test('one MailServer at a time: the others wait, and say for whom', async () => {
  // Nobody finishes this check, so it keeps its turn.
  await setImage('one', 'engine:absent')
  await cluster.until('one', (found) => reasonOf(found, 'Reconciling') === 'Progressing', 'one to be checked')
  await setImage('two', 'engine:3')
  await setImage('three', 'engine:3')
  for (const name of ['two', 'three']) {
    const waiting = await cluster.until(
      name,
      (found) => reasonOf(found, 'Reconciling') !== undefined,
      `${name} to wait`,
    )
    assert.match(
      findCondition(waiting.status?.conditions, 'Reconciling')?.message ?? '',
      new RegExp(`engine:3 waits until MailServer ${namespace}/one is upgraded`),
    )
    assert.equal(findCondition(waiting.status?.conditions, 'Ready')?.status, 'True')
    assert.deepEqual(await jobsOf(name), [])
  }
  assert.deepEqual(operator.upgrades(), { taken: 1, waiting: 2 })
  await setImage('one', 'engine:old')
  for (const name of ['two', 'three']) {
    await cluster.until(name, (found) => isReady(found) && found.status?.image === 'engine:3', `${name} to be upgraded`)
  }
  await cluster.eventually(async () => operator.upgrades().taken === 0, 'all turns to be given back')
})

test('a paused MailServer is not upgraded and holds nobody up', async () => {
  await setImage('two', 'engine:4', { 'mail.openova.io/paused': 'true' })
  await setImage('three', 'engine:4')
  await cluster.until('three', (found) => isReady(found) && found.status?.image === 'engine:4', 'three to be upgraded')
  assert.equal(await imageOf('two'), 'engine:3')
})

test('an image that somebody puts into the Deployment is set back without a check', async () => {
  const containers = [{ name: 'engine', image: 'engine:foreign' }]
  await client.raw(
    'PATCH',
    `/apis/apps/v1/namespaces/${namespace}/deployments/three`,
    { spec: { template: { spec: { containers } } } },
    'application/strategic-merge-patch+json',
  )
  await cluster.eventually(async () => (await imageOf('three')) === 'engine:4', 'engine:4 to be back')
  assert.equal(
    writes.some((write) => write.startsWith('apply Job three-preflight-') && write.includes('foreign')),
    false,
  )
})

test('who cannot go on with an upgrade gives the turn to the next', async () => {
  const setDomain = (domain: Record<string, string>) =>
    client.mergePatch(MailServerResource, { namespace, name: 'one' }, { spec: { domains: [domain] } })
  await setImage('one', 'engine:absent')
  await cluster.eventually(async () => operator.upgrades().taken === 1, 'one to have the turn')
  await setImage('three', 'engine:5')
  await cluster.eventually(async () => operator.upgrades().waiting === 1, 'three to wait')
  await setDomain({ name: 'example.org', catchAll: 'ann@elsewhere.example' })
  await stalledMessage('one', 'InvalidSpec')
  await cluster.until('three', (found) => isReady(found) && found.status?.image === 'engine:5', 'three to be upgraded')
  await setDomain({ name: 'example.org' })
  await setImage('one', 'engine:old')
  await cluster.until('one', isReady, 'one to be well again')
})

test('who is refused what it needs in its turn holds nobody up', async () => {
  const config = { namespace, name: 'one-config' }
  await client.mergePatch(ConfigMap, config, { immutable: true })
  await client.mergePatch(MailServerResource, { namespace, name: 'one' }, { spec: { logLevel: 'debug' } })
  await stalledMessage('one', 'ApplyRefused')
  await setImage('one', 'engine:absent')
  await setImage('three', 'engine:6')
  await cluster.until('three', (found) => isReady(found) && found.status?.image === 'engine:6', 'three to be upgraded')
  await client.delete(ConfigMap, config)
  await setImage('one', 'engine:old')
  await cluster.until('one', isReady, 'one to be well again')
})

type Paused = { paused?: boolean }

test('a rollout that somebody pauses in the Deployment goes on', async () => {
  await client.mergePatch(Deployment, { namespace, name: 'three' }, { spec: { paused: true } })
  await cluster.eventually(
    async () => ((await client.get(Deployment, { namespace, name: 'three' })).spec as Paused).paused !== true,
    'the pause to be taken back',
  )
})
