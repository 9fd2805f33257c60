/** exclusiveDomains: MailServers that ask for a name which another one has say so, and are kept as they were. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { findCondition } from '../kube/conditions.ts'
import { Namespace, Service } from '../kube/resources.ts'
import type { ObjectKey } from '../kube/types.ts'
import { type Operator, prepareOperator } from '../run.ts'
import { BUILT_IN, idOf } from './kinds.ts'
import { isReady, openTestCluster, playTheRest, reasonOf } from './testing/cluster.ts'
import { essence } from './testing/owned.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted, writes, quiet } = await cluster.countingClient()

async function startOperator(...namespaces: string[]): Promise<Operator> {
  const operator = prepareOperator(
    { namespaces, engineImage: 'engine:1', identity: 'test', exclusiveDomains: true },
    { client: counted, verifyDns: async () => [] },
  )
  await operator.lead()
  return operator
}
let operator = await startOperator(namespace)
after(() => operator[Symbol.asyncDispose]())

const isTaken = (found: MailServer) =>
  reasonOf(found, 'Stalled') === 'DomainTaken' && found.status?.observedGeneration === found.metadata.generation
const messageOf = (server: MailServer) => findCondition(server.status?.conditions, 'Stalled')?.message ?? ''
const change = (name: string, spec: Record<string, unknown>) =>
  client.mergePatch(MailServerResource, { namespace, name }, { spec })

/** Every object of a server by id, and what is asked for in it. */
async function objectsOf(name: string, home = namespace) {
  const labelSelector = `${SERVER_LABEL}=${name}`
  const lists = await Promise.all(
    BUILT_IN.filter(({ kind }) => kind !== 'EndpointSlice').map((resource) =>
      client.list(resource, { namespace: home, labelSelector }),
    ),
  )
  return new Map(lists.flatMap(({ items }) => items.map((item) => [idOf(item), essence(item)])))
}

/** Writes about a server and what is its own, other than its status. */
const writesFor = (name: string) =>
  writes.filter((write) => {
    const [, kind, object = ''] = write.split(' ')
    return kind !== 'MailServer/status' && (object === name || object.startsWith(`${name}-`))
  })

test('a server with a domain and a host name of another one makes nothing, and goes on when they are free', async () => {
  await cluster.mailServer('first')
  const { spec } = await cluster.until('first', isReady, 'first to be Ready')
  await cluster.mailServer('twin', { hostname: spec.hostname, domains: spec.domains, deletionPolicy: 'Delete' })
  const twin = await cluster.until('twin', isTaken, 'DomainTaken')
  assert.equal(reasonOf(twin, 'Ready'), 'DomainTaken')
  assert.equal(
    messageOf(twin),
    'spec.hostname: mail.example.org belongs to MailServer first; spec.domains[0].name: example.org belongs to MailServer first',
  )
  assert.deepEqual(writesFor('twin'), [])

  await client.delete(MailServerResource, { namespace, name: 'first' })
  const well = await cluster.until('twin', isReady, 'twin to be Ready')
  assert.equal(reasonOf(well, 'Stalled'), undefined)
})

test('a running server whose spec gets a taken domain stays as it was, and keeps what it has', async () => {
  await cluster.mailServer('older')
  await cluster.until('older', isReady, 'older to be Ready')
  await cluster.mailServer('holder')
  await cluster.until('holder', isReady, 'holder to be Ready')
  await quiet(operator)
  const before = await objectsOf('older')
  assert.ok(before.size > 0)

  // All at once: a domain more that is taken, one less, and a field that has nothing to do with them.
  await change('older', { domains: [{ name: 'holder.example.org' }], logLevel: 'debug' })
  const older = await cluster.until('older', isTaken, 'DomainTaken')
  assert.equal(
    messageOf(older),
    'spec.domains[0].name: holder.example.org belongs to MailServer holder. The last valid spec stays in force',
  )
  assert.equal(reasonOf(older, 'EngineAvailable'), 'ReplicasAvailable')
  assert.deepEqual(await objectsOf('older'), before)
  await client.delete(Service, { namespace, name: 'older-http' })
  await cluster.eventually(() => cluster.get(Service, 'older-http'), 'its Service to come back')
  await cluster.until('holder', isReady, 'holder to be Ready still, though it is the younger one')
  await cluster.mailServer('third', { domains: [{ name: 'older.example.org' }] })
  const third = await cluster.until('third', isTaken, 'the domain that older still serves to be refused to another')
  assert.match(messageOf(third), /older\.example\.org belongs to MailServer older$/)

  await change('holder', { domains: [{ name: 'another.example.org' }] })
  await cluster.until('older', isReady, 'older to have the domain that was given up')
  await cluster.until('holder', isReady, 'holder to have another')
  await cluster.until('third', isReady, 'third to have what older had')
})

const skip = cluster.local ? false : 'the operator has no rights in other namespaces there'

test('twins of two namespaces that were served before anybody compared them: the younger stays as it is', {
  skip,
}, async () => {
  const abroad = `other-${namespace}`
  await client.create(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: abroad } })
  const stopPlaying = playTheRest(client, { namespace: abroad }, true)
  after(stopPlaying)
  const home = { namespace, name: 'here' }
  const other = { namespace: abroad, name: 'there' }
  const until = (key: ObjectKey, is: (server: MailServer) => boolean, what: string) =>
    cluster.eventually(async () => {
      const found = await client.get<MailServer>(MailServerResource, key)
      return is(found) && found
    }, `${key.name}: ${what}`)
  await cluster.mailServer(home.name)
  const here = await until(home, isReady, 'Ready')
  // An operator that watches some namespaces compares those only.
  await operator[Symbol.asyncDispose]()
  operator = await startOperator(abroad)
  await client.create(MailServerResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    metadata: other,
    spec: { hostname: here.spec.hostname, domains: here.spec.domains },
  })
  const there = await until(other, isReady, 'Ready')
  const ageOf = ({ metadata }: MailServer) => `${metadata.creationTimestamp} ${metadata.uid}`
  const [older, younger] = ageOf(here) < ageOf(there) ? [home, other] : [other, home]
  await quiet(operator)
  const before = await objectsOf(younger.name, younger.namespace)
  assert.ok(before.size > 0)

  await operator[Symbol.asyncDispose]()
  operator = await startOperator(namespace, abroad)
  const taken = await until(younger, isTaken, 'DomainTaken')
  assert.equal(
    messageOf(taken),
    'spec.hostname: mail.here.example.org belongs to a MailServer of another namespace; spec.domains[0].name: here.example.org belongs to a MailServer of another namespace',
  )
  await quiet(operator)
  assert.deepEqual(await objectsOf(younger.name, younger.namespace), before)
  await until(older, isReady, 'Ready still')

  await client.delete(MailServerResource, older)
  await until(younger, isReady, 'Ready again')
})
