/** The real CloudNativePG under mail load: its primary killed and switched over, its password rotated. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Condition } from '../../operator/kube/types.ts'
import { eventually } from './eventually.ts'
import { startLogins, startMailFlow } from './mail-flow.ts'
import { allNew, type MailServerUnderTest } from './mail-server.ts'
import { MAIL_SERVER, NAMESPACE, type Platform } from './platform.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

const DATABASE = `${MAIL_SERVER}-db`
interface Cluster {
  metadata: { resourceVersion: string }
  spec: { instances: number }
  status: {
    phase: string
    currentPrimary: string
    targetPrimary: string
    readyInstances: number
    instanceNames: string[]
    conditions: Condition[]
  }
}
const clusterOf = ({ json }: Platform) => json<Cluster>('-n', NAMESPACE, 'get', 'cluster', DATABASE)

/**
 * Waits until there are as many instances as wanted.
 * @param before a primary that is not it any more
 * @returns the primary
 */
const whole = (platform: Platform, before?: string) =>
  eventually('the database to be whole', async () => {
    const { spec, status } = await clusterOf(platform)
    const { currentPrimary, targetPrimary, readyInstances, phase } = status
    const done = currentPrimary === targetPrimary && currentPrimary !== before
    return done && readyInstances === spec.instances && phase === 'Cluster in healthy state' && currentPrimary
  })

/** What the MailServer says while `happens`, with mail under way all the while. */
async function underLoad(server: MailServerUnderTest, happens: () => Promise<void>): Promise<ReadonlySet<string>> {
  await using flow = startMailFlow(await server.address(), 'alice@example.test', 4)
  await flow.more(50)
  using conditions = await server.watchConditions()
  await happens()
  await flow.more(50)
  await server.settled()
  await flow.stop()
  await server.assertAllOnce('alice', flow.acknowledged)
  return conditions.seen
}

step(
  'the primary killed under mail load: a standby takes over, nothing acknowledged is lost',
  async (platform, server) => {
    const killed = await whole(platform)
    const said = await underLoad(server, async () => {
      await platform.kubectl('-n', NAMESPACE, 'delete', 'pod', killed, '--grace-period=0', '--force')
      const primary = await whole(platform, killed)
      await eventually(
        'status to name the new primary',
        async () => (await server.get()).status?.database?.primary === primary,
      )
    })
    console.log([...said].filter((line) => line.startsWith('DatabaseReady')).join(', '))
    assert.ok(said.has('DatabaseReady=False SwitchingOver'), [...said].join(', '))
    assert.equal(await server.condition('DatabaseReady'), 'True ClusterReady')
  },
)

step(
  'a switchover under mail load, as `kubectl cnpg promote` asks for it, loses nothing either',
  async (platform, server) => {
    const primary = await whole(platform)
    const { instanceNames } = (await clusterOf(platform)).status
    const standby = instanceNames.find((name) => name !== primary) ?? assert.fail('no standby')
    const said = await underLoad(server, async () => {
      // The Cluster may be written at the same time: then it is asked for again.
      await eventually('the switchover to be asked for', () => promote(platform, standby))
      assert.equal(await whole(platform, primary), standby)
    })
    console.log([...said].filter((line) => line.startsWith('DatabaseReady')).join(', '))
    assert.ok(said.has('DatabaseReady=False SwitchingOver'), [...said].join(', '))
  },
)

step(
  'a rotated password reaches the engines, which roll under mail load without losing capacity',
  async (platform, server) => {
    const urlOf = async () => new URL((await server.secret(`${DATABASE}-credentials`)).url ?? '')
    const old = await urlOf()
    const before = await server.readyEngines(2)
    const password = randomBytes(24).toString('base64url')
    await using people = startLogins(await server.mailbox('bob'))
    using capacity = server.watchCapacity()
    await underLoad(server, async () => {
      // What a person or the External Secrets operator changes: this key alone. CloudNativePG gives it to the role.
      const patch = ['--type=merge', '-p', JSON.stringify({ stringData: { password } })]
      await platform.kubectl('-n', NAMESPACE, 'patch', 'secret', `${DATABASE}-app`, ...patch)
      await eventually('the engines’ URL to follow', async () => (await urlOf()).password === password)
      await eventually('every Pod to be new', async () => allNew(before, await server.readyEngines(2)))
    })
    console.log(people.figures())
    assert.equal(capacity.least, 2, 'replicas available all the while')
    await assert.rejects(ask(platform, old), { code: '28P01' })
    assert.deepEqual(await ask(platform, await urlOf()), [{ user: 'app' }])
  },
)

/** What `kubectl cnpg promote` writes (internal/cmd/plugin/promote). @throws when the Cluster was written meanwhile */
async function promote(platform: Platform, standby: string): Promise<true> {
  const { metadata, status } = await clusterOf(platform)
  const now = new Date().toISOString()
  const words = { reason: 'ClusterIsNotReady', message: 'Cluster Is Not Ready' }
  const ready: Condition = { type: 'Ready', status: 'False', ...words, lastTransitionTime: now }
  const patch = {
    metadata: { resourceVersion: metadata.resourceVersion },
    status: {
      targetPrimary: standby,
      targetPrimaryTimestamp: now,
      phase: 'Switchover in progress',
      phaseReason: `Switching over to ${standby}`,
      conditions: [...status.conditions.filter(({ type }) => type !== 'Ready'), ready],
    },
  }
  const how = ['--subresource=status', '--type=merge', '-p', JSON.stringify(patch)]
  await platform.kubectl('-n', NAMESPACE, 'patch', 'cluster', DATABASE, ...how)
  return true
}

/** Asks the primary as the engine does, with the password of `url`. */
async function ask({ json }: Platform, url: URL): Promise<unknown[]> {
  const { spec } = await json<{ spec: { clusterIP: string } }>('-n', NAMESPACE, 'get', 'service', `${DATABASE}-rw`)
  const client = new pg.Client({
    host: spec.clusterIP,
    user: url.username,
    password: decodeURIComponent(url.password),
    database: 'app',
    ssl: { rejectUnauthorized: false },
  })
  await client.connect()
  try {
    return (await client.query('select current_user as user')).rows
  } finally {
    await client.end()
  }
}
