/** The operator comes and goes, and so does the MailServer: mail, keys and passwords stay. */

import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import { type MailboxAccess, messageOf, openMailbox, startMailFlow } from './mail-flow.ts'
import { DOMAIN, livesOf } from './mail-server.ts'
import { sendOne } from './one-message.ts'
import { leader, objectVersions } from './operator.ts'
import {
  applyMailServer,
  helm,
  installOperator,
  MAIL_SERVER,
  NAMESPACE,
  OPERATOR,
  OPERATOR_NAMESPACE,
  type Platform,
} from './platform.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

/** Everything by which a mail program knows a mailbox again: RFC 9051 §2.3.1.1. */
async function inboxOf(access: MailboxAccess) {
  await using client = await openMailbox(access)
  const { uidValidity, exists } = await client.mailboxOpen('INBOX', { readOnly: true })
  const messages: string[] = []
  if (exists > 0) {
    for await (const { uid, envelope } of client.fetch('1:*', { envelope: true })) {
      messages.push(`${uid} ${envelope?.messageId}`)
    }
  }
  return { uidValidity, messages }
}

/** Keys and passwords: what may never be made anew. */
async function keysOf({ json }: Platform): Promise<string[]> {
  const { items } = await json<{ items: { metadata: { name: string }; data?: Record<string, string> }[] }>(
    ...['-n', NAMESPACE, 'get', 'secrets'],
  )
  const kept = /-dkim-|-password$|-tls-ca$|-db-app$/
  return items
    .filter(({ metadata }) => kept.test(metadata.name))
    .map((secret) => JSON.stringify([secret.metadata.name, secret.data]))
}

step(
  'two operators: when the leader is killed the other takes over and undoes what was changed meanwhile',
  async (platform) => {
    await installOperator(platform, { replicas: '2' })
    const killed = await leader(platform)
    const remove = ['delete', 'pod', killed, '--grace-period=0', '--force']
    await platform.kubectl('-n', OPERATOR_NAMESPACE, ...remove)
    await platform.kubectl('-n', NAMESPACE, 'delete', 'service', `${MAIL_SERVER}-http`)
    const next = await leader(platform, killed)
    console.log(`${killed} led, ${next} leads`)
    await platform.kubectl('-n', NAMESPACE, 'wait', `service/${MAIL_SERVER}-http`, '--for=create', '--timeout=120s')
  },
)

step(
  'the operator uninstalled under mail load and installed again: nobody but it notices',
  async (platform, server) => {
    await server.settled()
    const [bob, lives, before] = [
      await inboxOf(await server.mailbox('bob')),
      livesOf(await server.readyEngines(2)),
      await objectVersions(platform),
    ]
    await using flow = startMailFlow(await server.address(), `alice@${DOMAIN}`, 4)
    await flow.more(50)
    await helm(platform, 'uninstall', OPERATOR, '--wait')
    await eventually('the operator to be gone', async () => {
      return (await platform.kubectl('-n', OPERATOR_NAMESPACE, 'get', 'pods', '-o', 'name')) === ''
    })
    await flow.more(50)
    for (const crd of ['mailservers.mail.openova.io', 'mailaccounts.mail.openova.io']) {
      await platform.kubectl('get', 'crd', crd)
    }
    assert.equal((await server.get()).metadata.deletionTimestamp, undefined)
    await installOperator(platform)
    await leader(platform)
    await server.reconcile()
    await flow.more(50)
    await flow.stop()
    await server.settled()
    assert.deepEqual(flow.refused, [])
    assert.deepEqual(livesOf(await server.readyEngines(2)), lives)
    assert.deepEqual(await objectVersions(platform), before)
    assert.deepEqual(await inboxOf(await server.mailbox('bob')), bob)
    await server.assertAllOnce('alice', flow.acknowledged)
  },
)

step('a MailServer deleted with Retain and made again has its accounts, mail and keys', async (platform, server) => {
  await using flow = startMailFlow(await server.address(), `bob@${DOMAIN}`, 1)
  await flow.more(5)
  await flow.stop()
  const [bob, keys] = [await inboxOf(await server.mailbox('bob')), await keysOf(platform)]
  await platform.kubectl('-n', NAMESPACE, 'delete', 'mailserver', MAIL_SERVER)
  await eventually('the engines to be gone', async () => {
    const gone = ['-n', NAMESPACE, 'get', 'deployments,services', '-l', `mail.openova.io/server=${MAIL_SERVER}`]
    const left = await platform.kubectl(...gone, '-o', 'name')
    return !left.includes(`deployment.apps/${MAIL_SERVER}\n`) && (await server.engines()).length === 0
  })
  await eventually('the accounts to say so', async () => {
    const { items } = await platform.json<{
      items: { status?: { conditions?: { type: string; status: string }[] } }[]
    }>(...['-n', NAMESPACE, 'get', 'mailaccounts'])
    return items.every(({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'False'),
    )
  })
  assert.deepEqual(await keysOf(platform), keys)
  await applyMailServer(platform)
  await server.settled()
  await platform.kubectl('-n', NAMESPACE, 'wait', 'mailaccount', '--all', '--for=condition=Ready', '--timeout=120s')
  assert.deepEqual(await keysOf(platform), keys)
  assert.deepEqual(await inboxOf(await server.mailbox('bob')), bob)
})

step(
  'a database that somebody deletes is not replaced by an empty one: senders keep their mail until its loss is accepted',
  async (platform, server) => {
    const { status } = await server.settled()
    const uid = status?.database?.clusterUid ?? assert.fail('the database with the mail is not remembered')
    const database = ['-n', NAMESPACE, 'get', 'cluster', `${MAIL_SERVER}-db`, '--ignore-not-found', '-o', 'name']
    const address = await server.address()
    await using flow = startMailFlow(address, `alice@${DOMAIN}`, 2)
    await flow.more(5)
    await platform.kubectl('-n', NAMESPACE, 'delete', 'cluster', `${MAIL_SERVER}-db`)
    // Its Postgres would wait three minutes for the engines to let go of their connections.
    const pods = ['delete', 'pods', '-l', `cnpg.io/cluster=${MAIL_SERVER}-db`, '--grace-period=0', '--force']
    await platform.kubectl('-n', NAMESPACE, ...pods)
    await eventually('the loss to be told', async () =>
      (await server.condition('DatabaseReady'))?.endsWith('DatabaseLost'),
    )
    assert.equal(await server.condition('Stalled'), 'True DatabaseLost')
    const refused = flow.refused.length
    await eventually('mail to be deferred', async () => flow.refused.length > refused + 5)
    await server.reconcile()
    await flow.stop() // which tells that nothing was refused for good
    assert.equal(await platform.kubectl(...database), '')

    const acceptance = `mail.openova.io/accept-loss=${uid}`
    await platform.kubectl('-n', NAMESPACE, 'annotate', 'mailserver', MAIL_SERVER, acceptance)
    await eventually('another database', async () => (await platform.kubectl(...database)) !== '')
    await server.settled()
    await eventually('the accounts to be told anew', async () => {
      const messageId = await sendOne({ host: address }, `alice@${DOMAIN}`)
      return messageOf(await server.mailbox('alice'), messageId)
    })
    await eventually('it to be remembered', async () => {
      const now = (await server.get()).status?.database?.clusterUid
      return now !== undefined && now !== uid
    })
  },
)
