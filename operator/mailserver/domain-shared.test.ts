/** Two MailServers of one domain, where nobody has asked for domains to be exclusive: both are served, and one is told. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import { findCondition } from '../kube/conditions.ts'
import { Event } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted } = await cluster.countingClient()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  { client: counted, verifyDns: async () => [] },
)
await operator.lead()
after(() => operator[Symbol.asyncDispose]())

test('the younger one of two with a domain is Ready and says whose it is, until it has it alone', async () => {
  await cluster.mailServer('blue')
  const { spec } = await cluster.until('blue', isReady, 'blue to be Ready')
  await cluster.mailServer('green', { hostname: 'mail.green.example', domains: spec.domains })
  const green = await cluster.until('green', (found) => reasonOf(found, 'Ready') === 'DomainShared', 'DomainShared')
  assert.ok(isReady(green))
  assert.equal(
    findCondition(green.status?.conditions, 'DomainsReady')?.message,
    'spec.domains[0].name: example.org belongs to MailServer blue. Their DNS records contradict each other, and each gets a part of the mail',
  )
  await cluster.eventually(async () => {
    const { items } = await client.list(Event, { namespace })
    return items.some((event) => (event as { reason?: string }).reason === 'DomainShared')
  }, 'an Event')
  assert.ok(await cluster.until('blue', isReady, 'blue to be Ready still'))

  await client.delete(MailServerResource, { namespace, name: 'blue' })
  const alone = await cluster.until(
    'green',
    (found) => reasonOf(found, 'Ready') === 'Running',
    'green to have it alone',
  )
  assert.equal(findCondition(alone.status?.conditions, 'DomainsReady'), undefined)
})
