/** Whose data is: nobody's while its MailServer lives, and at its end what deletionPolicy says then. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, PAUSED, RECONCILE_AT } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'
import { type Operator, prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const Cluster: Resource = {
  group: 'postgresql.cnpg.io',
  version: 'v1',
  kind: 'Cluster',
  plural: 'clusters',
  namespaced: true,
}
let operator: Operator
async function lead(): Promise<void> {
  const { client: own } = await cluster.countingClient()
  operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
    { client: own, verifyDns: async () => [] },
  )
  await operator.lead()
}
await lead()
after(() => operator[Symbol.asyncDispose]())

const dataOf = (name: string): [Resource, string][] => [
  [Cluster, `${name}-db`],
  [Secret, `${name}-dkim-${cluster.domainOf(name)}-default`],
  [Secret, `${name}-dkim-${cluster.domainOf(name)}-ed25519`],
  [Secret, `${name}-tls-ca`],
]
/** Which of the data is there. */
async function left(name: string): Promise<KubeObject[]> {
  const found = await Promise.all(dataOf(name).map(([resource, data]) => cluster.get(resource, data)))
  return found.filter((object) => object !== undefined)
}
async function make(name: string): Promise<void> {
  await cluster.mailServer(name, { deletionPolicy: 'Delete' })
  await cluster.until(name, isReady, `${name} to be Ready`)
}
const change = (name: string, spec: object, annotations: object = {}) =>
  client.mergePatch(MailServerResource, { namespace, name }, { metadata: { annotations }, spec })
const gone = (name: string) =>
  cluster.eventually(
    async () => !(await cluster.get(MailServerResource, name)) && !(await cluster.get(Secret, `${name}-admin`)),
    `${name} to be gone with what it owned`,
  )
/** Deleted as some do it: dependents first, without waiting for anybody. */
const remove = (name: string, propagationPolicy: 'Background' | 'Foreground' | 'Orphan' = 'Foreground') =>
  client.delete(MailServerResource, { namespace, name }, { propagationPolicy })
const isNobodys = ({ metadata }: KubeObject) => metadata.ownerReferences === undefined
async function assertKept(name: string): Promise<void> {
  await gone(name)
  const data = await left(name)
  assert.equal(data.length, dataOf(name).length)
  assert.ok(data.every(isNobodys))
}

test('while a MailServer lives its data is nobody’s, under Delete too', async () => {
  await make('one')
  const data = await left('one')
  assert.equal(data.length, dataOf('one').length)
  assert.deepEqual(
    data.filter((object) => !isNobodys(object)),
    [],
  )
})

for (const how of ['Background', 'Foreground'] as const) {
  test(`under Delete data goes with the MailServer, ${how}`, async () => {
    const name = how.toLowerCase()
    await make(name)
    await remove(name, how)
    await gone(name)
    await cluster.eventually(async () => (await left(name)).length === 0, 'the data to be gone')
  })
}

/** A server whose domain `LEFT` has keys and then left its spec. */
async function makeAndLeave(name: string, deletionPolicy: 'Delete' | 'Retain'): Promise<() => Promise<KubeObject[]>> {
  await cluster.mailServer(name, { deletionPolicy, domains: bothOf(name) })
  await cluster.until(name, isReady, `${name} to be Ready`)
  await leave(name)
  return async () => {
    const names = ['default', 'ed25519'].map((selector) => `${name}-dkim-${LEFT}-${selector}`)
    return (await Promise.all(names.map((key) => cluster.get(Secret, key)))).filter((key) => key !== undefined)
  }
}
async function leave(name: string): Promise<void> {
  const domain = cluster.domainOf(name)
  await change(name, { domains: [{ name: domain }] })
  await cluster.until(name, (server) => isReady(server) && keyDomains(server).join() === domain, 'it to leave')
}
const LEFT = 'example.net'
const bothOf = (name: string) => [{ name: cluster.domainOf(name) }, { name: LEFT }]
const keyDomains = ({ status }: MailServer) => [...new Set(status?.dkim?.keys?.map(({ domain }) => domain))].sort()

test('under Delete the keys of a domain that left the spec go too, and not before', async () => {
  const keys = await makeAndLeave('left', 'Delete')
  assert.equal((await keys()).length, 2)
  await remove('left')
  await gone('left')
  await cluster.eventually(async () => (await keys()).length === 0, 'the keys to be gone')
})

test('under Retain they stay, and a domain that comes back finds them, with a new MailServer too', async () => {
  const keys = await makeAndLeave('back', 'Retain')
  const before = await keys()
  const again = { domains: bothOf('back') }
  await change('back', again)
  const isBack = (server: MailServer) => isReady(server) && keyDomains(server).includes(LEFT)
  await cluster.until('back', isBack, 'it to come back')
  const contents = (secrets: KubeObject[]) => secrets.map(({ metadata, data }) => ({ uid: metadata.uid, data }))
  assert.deepEqual(contents(await keys()), contents(before))

  await leave('back')
  await remove('back')
  await assertKept('back')
  await cluster.mailServer('back', again)
  await cluster.until('back', isBack, 'the new one to be Ready')
  assert.deepEqual(contents(await keys()), contents(before))
})

test('whoever deletes and lets the dependents be keeps the data, whatever the policy', async () => {
  await make('orphaned')
  await remove('orphaned', 'Orphan')
  await cluster.eventually(async () => !(await cluster.get(MailServerResource, 'orphaned')), 'it to go')
  const data = await left('orphaned')
  assert.equal(data.length, dataOf('orphaned').length)
  assert.ok(data.every(isNobodys))
})

test('Retain that came while it was paused counts', async () => {
  await make('paused')
  await change('paused', {}, { [PAUSED]: 'true' })
  await cluster.until('paused', (server) => reasonOf(server, 'Ready') === 'Paused', 'the pause')
  await change('paused', { deletionPolicy: 'Retain' })
  await remove('paused')
  await assertKept('paused')
})

test('Retain that came with a spec that cannot be carried out counts', async () => {
  await make('invalid')
  const domains = [{ name: cluster.domainOf('invalid'), catchAll: 'a@elsewhere.example' }]
  await change('invalid', { domains, deletionPolicy: 'Retain' })
  await cluster.until('invalid', (server) => reasonOf(server, 'Stalled') === 'InvalidSpec', 'it to be told')
  await remove('invalid')
  await assertKept('invalid')
})

test('Retain that came while a name was taken counts', async () => {
  await make('taken')
  const labels = { 'mail.openova.io/server': 'another' }
  await client.mergePatch(Secret, { namespace, name: 'taken-admin' }, { metadata: { labels }, data: null })
  await change('taken', {}, { [RECONCILE_AT]: '1' })
  await cluster.until('taken', (server) => reasonOf(server, 'Stalled') === 'NameTaken', 'it to be told')
  await change('taken', { deletionPolicy: 'Retain' })
  await remove('taken')
  await assertKept('taken')
})

test('Retain that came while no operator ran counts, also for data that an older one owned', async () => {
  await make('away')
  await operator[Symbol.asyncDispose]()
  const { uid = '' } = (await client.get(MailServerResource, { namespace, name: 'away' })).metadata
  const owner = { apiVersion: 'mail.openova.io/v1alpha1', kind: 'MailServer', name: 'away', uid, controller: true }
  const [database] = dataOf('away')
  assert.ok(database)
  const key = { namespace, name: database[1] }
  await client.mergePatch(database[0], key, { metadata: { ownerReferences: [owner] } })
  await change('away', { deletionPolicy: 'Retain' })
  await remove('away', 'Background')
  await lead()
  await assertKept('away')
})
