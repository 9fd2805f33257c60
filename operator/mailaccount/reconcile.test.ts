/** MailAccounts against a Kubernetes API and a stand-in for the engine's admin API. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  ACCEPT_LOSS,
  LEFT_BEHIND,
  MailAccountResource,
  MailServerResource,
  PAUSED,
  RECONCILE_AT,
  SKIP_CLEANUP,
} from '../api/group.ts'
import type { MailAccount } from '../api/mail-account.ts'
import { findCondition } from '../kube/conditions.ts'
import { KubeError } from '../kube/errors.ts'
import { Event, Secret } from '../kube/resources.ts'
import { CnpgCluster } from '../local/runner/cnpg.ts'
import { isReady, openTestCluster } from '../mailserver/testing/cluster.ts'
import { prepareOperator } from '../run.ts'
import type { AccountBody } from './admin-api.ts'
import { startEngineDouble } from './testing/engine.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
// A real API server refuses loopback addresses in EndpointSlices, so there the engine cannot be played here.
const skip = cluster.local ? false : 'the engine can be played on the local API only'

const engine = await startEngineDouble()
const { client: counted, reads, writes, quiet } = await cluster.countingClient()
/** The API takes no Secret of this name. */
let refusedSecret = ''
const refusing = {
  ...counted,
  create: async (resource, object, ...rest) => {
    if (object.metadata.name !== refusedSecret) return counted.create(resource, object, ...rest)
    throw new KubeError(`create secrets ${refusedSecret}: 403 Forbidden: exceeded quota`, {
      kind: 'Forbidden',
      code: 403,
    })
  },
} satisfies typeof counted
/** How far the operator's clock is ahead. */
let aheadMs = 0
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  { client: refusing, verifyDns: async () => [], now: () => new Date(Date.now() + aheadMs) },
)
after(async () => {
  await operator[Symbol.asyncDispose]()
  await engine[Symbol.asyncDispose]()
})
await operator.lead()

const make = (name: string, spec: Record<string, unknown>) =>
  client.create(MailAccountResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name, namespace },
    spec: { serverRef: { name: 'post' }, ...spec },
  })
const until = (name: string, reason: string) =>
  cluster.eventually(async () => {
    const found = await client.find<MailAccount>(MailAccountResource, { namespace, name })
    const ready = findCondition(found?.status?.conditions, 'Ready')
    return ready?.reason === reason && ready.observedGeneration === found?.metadata.generation ? found : undefined
  }, `${name} to be ${reason}`)
const change = (name: string, spec: Record<string, unknown>) =>
  client.mergePatch(MailAccountResource, { namespace, name }, { spec })

const lookAt = (name: string) => operator.controllers[1]?.queue.add({ namespace, name })
const annotate = (name: string, annotations: Record<string, string | null>) =>
  client.mergePatch(MailAccountResource, { namespace, name }, { metadata: { annotations } })
const announceEngine = (ready: boolean) => engine.announce(client, { namespace, name: 'post' }, ready)
/** What the engine and the API are asked while `change` happens and all accounts that it brings are looked at. */
async function askedBy(change: () => Promise<unknown>): Promise<string[]> {
  await quiet(operator)
  const [calls, read, written] = [engine.calls.length, reads.length, writes.length]
  await change()
  await quiet(operator)
  const ours = (call: string) => !call.includes('MailServer') && !call.includes(' post')
  return [...engine.calls.slice(calls), ...reads.slice(read), ...writes.slice(written)].filter(ours)
}

test('an account without its server waits, and says for what', async () => {
  await make('alice', {
    address: 'alice@example.org',
    aliases: ['post@example.org'],
    quota: '1Gi',
    displayName: 'Alice',
  })
  const account = await until('alice', 'ServerMissing')
  assert.match(findCondition(account.status?.conditions, 'Ready')?.message ?? '', /MailServer post does not exist/)
})

test('before the engine answers its password is there already', async () => {
  await cluster.mailServer('post')
  await cluster.until('post', isReady, 'post to be Ready')
  const account = await until('alice', 'ServerNotReady')
  assert.deepEqual(account.status?.passwordSecretRef, { name: 'alice-password', key: 'password' })
})

test('as soon as the engine answers it gets the account', { skip }, async () => {
  await announceEngine(true)
  const account = await until('alice', 'Applied')
  const secret = await client.get(Secret, { namespace, name: 'alice-password' })
  const password = Buffer.from(secret.data?.password ?? '', 'base64').toString()
  assert.match(password, /^[A-Za-z0-9]{24}$/)
  assert.deepEqual(engine.accounts.get('alice@example.org'), {
    address: 'alice@example.org',
    aliases: ['post@example.org'],
    displayName: 'Alice',
    quotaBytes: 1_073_741_824,
    disabled: false,
    password,
  })
  const token = Buffer.from(
    (await client.get(Secret, { namespace, name: 'post-admin' })).data?.token ?? '',
    'base64',
  ).toString()
  assert.deepEqual([...engine.tokens], [`Bearer ${token}`])
  assert.equal(account.status?.usedBytes, 5_000_000)
  assert.equal(account.status?.usage, '0%')
  assert.equal(JSON.stringify(account).includes(password), false)
})

test('a settled account asks nobody and writes nothing', { skip }, async () => {
  const asked = await askedBy(async () => {
    for (let round = 0; round < 5; round++) {
      lookAt('alice')
      await quiet(operator)
    }
  })
  assert.deepEqual(asked, [])
})

test('a Secret of somebody else under the name of the generated one gets nothing written into it', {
  skip,
}, async () => {
  const name = 'henry-password'
  const data = { token: Buffer.from('theirs').toString('base64') }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data })
  await make('henry', { address: 'henry@example.org' })
  const account = await until('henry', 'SecretMissing')
  assert.match(
    findCondition(account.status?.conditions, 'Ready')?.message ?? '',
    /Secret henry-password is somebody else’s/,
  )
  assert.deepEqual((await client.get(Secret, { namespace, name })).data, data)
  await client.mergePatch(
    Secret,
    { namespace, name },
    { data: { password: Buffer.from('theirs too').toString('base64') } },
  )
  lookAt('henry')
  await until('henry', 'Applied')
  assert.equal(engine.accounts.get('henry@example.org')?.password, 'theirs too')
})

test('a change reaches the engine', { skip }, async () => {
  await change('alice', { aliases: [], disabled: true })
  await cluster.eventually(async () => engine.accounts.get('alice@example.org')?.disabled, 'alice to be disabled')
  await until('alice', 'Applied')
})

test('a password of the user’s is used, and a new one follows', { skip }, async () => {
  const data = (text: string) => ({ secret: Buffer.from(text).toString('base64') })
  await make('bob', { address: 'bob@example.org', passwordSecretRef: { name: 'bob', key: 'secret' } })
  const waiting = await until('bob', 'SecretMissing')
  assert.match(findCondition(waiting.status?.conditions, 'Ready')?.message ?? '', /Secret bob does not exist/)
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'bob', namespace },
    data: data('first'),
  })
  lookAt('bob')
  await until('bob', 'Applied')
  assert.equal(engine.accounts.get('bob@example.org')?.password, 'first')
  const password = (text: string) =>
    cluster.eventually(async () => engine.accounts.get('bob@example.org')?.password === text, `the ${text} password`)
  await client.mergePatch(Secret, { namespace, name: 'bob' }, { data: data('second') })
  assert.deepEqual(await askedBy(async () => lookAt('bob')), [], 'a foreign Secret is not read at every look')
  aheadMs += 10 * 60_000
  lookAt('bob')
  await password('second')
  await client.mergePatch(Secret, { namespace, name: 'bob' }, { data: data('third') })
  await annotate('bob', { [RECONCILE_AT]: 'now' })
  await password('third')
})

test('a new account costs its finalizer, its Secret, its status and an Event', { skip }, async () => {
  const asked = await askedBy(async () => {
    await make('grace', { address: 'grace@example.org' })
    await until('grace', 'Applied')
  })
  assert.deepEqual(
    asked.map((call) => call.replace(/ grace[-.].*/, ' …')),
    [
      'PUT grace@example.org',
      'patch MailAccount grace',
      'create Secret …',
      'apply MailAccount/status grace',
      'create Event …',
    ],
  )
})

test('an engine that restarts and a server that changes bring no requests about accounts', { skip }, async () => {
  const lookAtAll = async () => ['alice', 'bob', 'grace'].forEach(lookAt)
  await askedBy(lookAtAll) // whoever is due
  const asked = await askedBy(async () => {
    await announceEngine(false)
    await announceEngine(true)
    await client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { spam: { requiredScore: 4 } } })
    await lookAtAll()
  })
  assert.deepEqual(asked, [])
})

test('an account that is due is asked about, and told anew when the engine has forgotten it', { skip }, async () => {
  engine.accounts.delete('grace@example.org')
  engine.usedBytes = 5_030_000
  aheadMs += 10 * 60_000
  const asked = await askedBy(async () => lookAt('grace'))
  assert.deepEqual(asked, ['GET grace@example.org', 'PUT grace@example.org'])
  engine.usedBytes = 7_000_000
  aheadMs += 10 * 60_000
  lookAt('grace')
  const usage = async () => (await client.get<MailAccount>(MailAccountResource, { namespace, name: 'grace' })).status
  await cluster.eventually(async () => (await usage())?.usage === '7.0 MB', 'the new usage')
  assert.equal((await usage())?.usedBytes, 7_000_000)
})

test('quota, name and disabled follow the spec, also when they are taken out of it', { skip }, async () => {
  await change('grace', { quota: '4Mi', displayName: 'Grace', disabled: true })
  const full = await until('grace', 'Applied')
  assert.equal(full.status?.usage, '167%')
  assert.deepEqual(
    [4_194_304, 'Grace', true],
    (({ quotaBytes, displayName, disabled }) => [quotaBytes, displayName, disabled])(
      engine.accounts.get('grace@example.org') ?? ({} as AccountBody),
    ),
  )
  await change('grace', { quota: null, displayName: null, disabled: null })
  await until('grace', 'Applied')
  const { password: _, ...body } = engine.accounts.get('grace@example.org') ?? {}
  assert.deepEqual(body, { address: 'grace@example.org', aliases: [], disabled: false })
})

test('a paused account says so, and nothing is changed until it goes on', { skip }, async () => {
  await annotate('grace', { [PAUSED]: 'true' })
  const paused = await until('grace', 'Paused')
  assert.deepEqual(
    paused.status?.conditions?.map(({ type, status }) => `${type}=${status}`),
    ['Ready=True'],
  )
  assert.deepEqual(await askedBy(() => change('grace', { displayName: 'G.' })), [])
  // kstatus: in progress, as what the spec says is not applied.
  const { metadata, status } = await client.get<MailAccount>(MailAccountResource, { namespace, name: 'grace' })
  assert.equal(status?.observedGeneration, (metadata.generation ?? 0) - 1)
  await annotate('grace', { [PAUSED]: null })
  await until('grace', 'Applied')
  assert.equal(engine.accounts.get('grace@example.org')?.displayName, 'G.')
})

test('of two accounts with one address the first has it, and the other is told by whom', { skip }, async () => {
  await make('grace-too', { address: 'grace@example.org' })
  const second = await until('grace-too', 'AddressTaken')
  const { reason, message } = findCondition(second.status?.conditions, 'Stalled') ?? {}
  assert.deepEqual([reason, message], ['AddressTaken', 'MailAccount grace has the address grace@example.org'])
  const before = engine.accounts.get('grace@example.org')
  await client.delete(MailAccountResource, { namespace, name: 'grace' })
  await until('grace-too', 'Applied')
  assert.equal(engine.calls.includes('DELETE grace@example.org'), false, 'the mail stays for the heir')
  assert.notEqual(engine.accounts.get('grace@example.org')?.password, before?.password)
})

test('an address that is taken is Stalled', { skip }, async () => {
  await change('alice', { aliases: ['shared@example.org'] })
  await until('alice', 'Applied')
  await make('carol', { address: 'carol@example.org', aliases: ['shared@example.org'] })
  const account = await until('carol', 'AddressTaken')
  assert.equal(
    findCondition(account.status?.conditions, 'Stalled')?.message,
    'an alias belongs to another account; claimed by MailAccount alice',
  )
  await change('alice', { aliases: [] })
  await until('carol', 'Applied')
  await change('carol', { aliases: [] })
})

test('a domain that the server does not have is Stalled until it has it', { skip }, async () => {
  await make('dave', { address: 'dave@example.net' })
  await until('dave', 'UnknownDomain')
  const domains = [{ name: 'example.org' }, { name: 'example.net' }]
  await client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { domains } })
  await until('dave', 'Applied')
})

test('an alias at a domain that the server does not have is Stalled by its name until it has it', {
  skip,
}, async () => {
  await make('judy', { address: 'judy@example.org', aliases: ['j@example.org', 'judy@example.com'] })
  const { status } = await until('judy', 'UnknownDomain')
  const { message } = findCondition(status?.conditions, 'Stalled') ?? {}
  assert.equal(message, 'spec.aliases[1]: MailServer post has no domain example.com')
  await change('judy', { aliases: [] })
  await until('judy', 'Applied')
})

for (const [what, text, reason, says] of [
  ['without the key', undefined, 'SecretMissing', 'Secret kim has no key password'],
  ['with nothing in it', '\n', 'SecretUnusable', 'Secret kim, key password: the password is empty'],
  [
    'of two lines',
    'one\ntwo\n',
    'SecretUnusable',
    'Secret kim, key password: the password has a line break or another control character in it',
  ],
  [
    'that is too long',
    'x'.repeat(1025),
    'SecretUnusable',
    'Secret kim, key password: the password has more than 1024 characters',
  ],
] as const) {
  test(`a password Secret ${what} is told so`, { skip }, async () => {
    const data: Record<string, string> = text === undefined ? {} : { password: Buffer.from(text).toString('base64') }
    await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kim', namespace }, data })
    await make('kim', { address: 'kim@example.org', passwordSecretRef: { name: 'kim' } })
    const { status } = await until('kim', reason)
    assert.equal(findCondition(status?.conditions, 'Ready')?.message, says)
    await client.delete(MailAccountResource, { namespace, name: 'kim' })
    await client.delete(Secret, { namespace, name: 'kim' })
    await cluster.eventually(async () => !(await cluster.get(MailAccountResource, 'kim')), 'kim to go')
  })
}

test('the line break that an editor leaves is no part of a password', { skip }, async () => {
  const data = { password: Buffer.from('secret word\r\n').toString('base64') }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'leo', namespace }, data })
  await make('leo', { address: 'leo@example.org', passwordSecretRef: { name: 'leo' } })
  await until('leo', 'Applied')
  assert.equal(engine.accounts.get('leo@example.org')?.password, 'secret word')
})

test('what keeps failing is told, and no more once it succeeds', { skip }, async () => {
  refusedSecret = 'mia-password'
  await make('mia', { address: 'mia@example.org' })
  const { status } = await until('mia', 'ReconcileFailed')
  assert.deepEqual(
    status?.conditions?.map(({ type, status, message }) => `${type}=${status} ${message}`),
    ['Ready', 'Reconciling'].map(
      (type) =>
        `${type}=${type === 'Ready' ? 'False' : 'True'} create secrets mia-password: 403 Forbidden: exceeded quota`,
    ),
  )
  refusedSecret = ''
  const applied = await until('mia', 'Applied')
  assert.deepEqual(
    applied.status?.conditions?.map(({ type }) => type),
    ['Ready'],
  )
})

test('an account that the engine has stays Ready of the spec that it has while a change fails', { skip }, async () => {
  await quiet(operator)
  refusedSecret = 'mia-password'
  await client.delete(Secret, { namespace, name: 'mia-password' })
  await change('mia', { displayName: 'Mia' })
  const failing = await cluster.eventually(async () => {
    const found = await client.get<MailAccount>(MailAccountResource, { namespace, name: 'mia' })
    return findCondition(found.status?.conditions, 'Reconciling') && found
  }, 'the failure to be told')
  const ready = findCondition(failing.status?.conditions, 'Ready')
  assert.deepEqual([ready?.status, ready?.reason], ['True', 'Applied'])
  assert.equal(ready?.observedGeneration, (failing.metadata.generation ?? 0) - 1)
  refusedSecret = ''
  const applied = await until('mia', 'Applied')
  assert.equal(findCondition(applied.status?.conditions, 'Reconciling'), undefined)
  assert.equal(engine.accounts.get('mia@example.org')?.displayName, 'Mia')
})

test('an engine in trouble is waited for', { skip }, async () => {
  engine.status = 503
  await make('erin', { address: 'erin@example.org' })
  await until('erin', 'EngineUnavailable')
  engine.status = 0
  lookAt('erin')
  await until('erin', 'Applied')
})

test('accounts are told anew to a database that was made anew, also where no engine answers meanwhile', {
  skip,
}, async () => {
  await until('dave', 'Applied')
  engine.accounts.clear()
  const database = { namespace, name: 'post-db' }
  const uid = async () => (await cluster.get(CnpgCluster, database.name))?.metadata.uid
  const before = (await uid()) ?? ''
  await announceEngine(false)
  await client.delete(CnpgCluster, database)
  const annotations = { [ACCEPT_LOSS]: before }
  await client.mergePatch(MailServerResource, { namespace, name: 'post' }, { metadata: { annotations } })
  await cluster.eventually(async () => ![before, undefined].includes(await uid()), 'the new Cluster')
  const waiting = await until('dave', 'ServerNotReady')
  assert.equal(findCondition(waiting.status?.conditions, 'Ready')?.status, 'False')
  await announceEngine(true)
  await until('dave', 'Applied')
  await cluster.eventually(async () => engine.accounts.has('grace@example.org'), 'all of them to be told')
  assert.equal(engine.accounts.get('dave@example.net')?.address, 'dave@example.net')
})

const remove = async (name: string) => {
  await client.delete(MailAccountResource, { namespace, name })
  await cluster.eventually(async () => !(await cluster.get(MailAccountResource, name)), `${name} to go`)
}
const eventsOf = async (name: string) =>
  (await client.list(Event, { namespace })).items
    .filter(({ regarding }) => (regarding as { name?: string }).name === name)
    .map(({ reason }) => reason)

test('a deleted account stays in the engine with its mail, without a login and without its aliases', {
  skip,
}, async () => {
  await change('carol', { aliases: ['shared@example.org'], quota: '1Gi' })
  await until('carol', 'Applied')
  await remove('carol')
  assert.deepEqual(engine.accounts.get('carol@example.org'), {
    address: 'carol@example.org',
    aliases: [],
    quotaBytes: 1_073_741_824,
    disabled: true,
  })
  assert.equal(engine.calls.includes('DELETE carol@example.org'), false)
  await cluster.eventually(async () => (await eventsOf('carol')).includes('AccountRetained'), 'the Event')
  await cluster.eventually(
    async () => (await cluster.get(Secret, 'carol-password')) === undefined,
    'her password to go',
  )
})

test('a MailAccount of the same address gets it back', { skip }, async () => {
  await make('carol-anew', { address: 'carol@example.org' })
  await until('carol-anew', 'Applied')
  const { disabled, password } = engine.accounts.get('carol@example.org') ?? {}
  assert.equal(disabled, false)
  assert.match(password ?? '', /^[A-Za-z0-9]{24}$/)
})

test('what the engine does not have is not made by a deletion', { skip }, async () => {
  engine.accounts.delete('carol@example.org')
  await remove('carol-anew')
  assert.equal(engine.accounts.has('carol@example.org'), false)
})

test('with deletionPolicy Delete the account goes with its mail, also when it was never waited for', {
  skip,
}, async () => {
  await change('erin', { deletionPolicy: 'Delete' })
  await until('erin', 'Applied')
  await remove('erin')
  assert.equal(engine.accounts.has('erin@example.org'), false)
  // Whoever wants to be rid of the mail of an account that was retained.
  engine.accounts.set('leah@example.org', { address: 'leah@example.org', aliases: [], disabled: true })
  await make('leah', {
    address: 'leah@example.org',
    deletionPolicy: 'Delete',
    passwordSecretRef: { name: 'none', key: 'password' },
  })
  await until('leah', 'SecretMissing')
  await remove('leah')
  assert.equal(engine.accounts.has('leah@example.org'), false)
})

test('an account without a policy follows its MailServer’s', { skip }, async () => {
  for (const name of ['mallory', 'niaj']) await make(name, { address: `${name}@example.org` })
  await make('olivia', { address: 'olivia@example.org', deletionPolicy: 'Retain' })
  for (const name of ['mallory', 'niaj', 'olivia']) await until(name, 'Applied')
  const policy = (deletionPolicy: string) =>
    client.mergePatch(MailServerResource, { namespace, name: 'post' }, { spec: { deletionPolicy } })
  await policy('Delete')
  await cluster.until('post', isReady, 'post to be Ready')
  for (const name of ['mallory', 'olivia']) await remove(name)
  await policy('Retain')
  await cluster.until('post', isReady, 'post to be Ready')
  await remove('niaj')
  const left = ['mallory', 'niaj', 'olivia'].filter((name) => engine.accounts.has(`${name}@example.org`))
  assert.deepEqual(left, ['niaj', 'olivia'])
})

test('an account whose domain is gone is let go, and said to be as it was', { skip }, async () => {
  const serve = (...names: string[]) =>
    client.mergePatch(
      MailServerResource,
      { namespace, name: 'post' },
      { spec: { domains: names.map((name) => ({ name })) } },
    )
  await serve('example.org')
  await until('dave', 'UnknownDomain')
  await remove('dave')
  await cluster.eventually(async () => (await eventsOf('dave')).includes('AccountLeftBehind'), 'the Event')
  assert.equal(engine.accounts.get('dave@example.net')?.disabled, false)
  // With the domain its accounts come back, and must not let in whose MailAccount is gone.
  await serve('example.org', 'example.net')
  await untilDisabled('dave@example.net')
  await serve('example.org')
})

const leftBehind = async () => {
  const { annotations = {} } = (await client.get(MailServerResource, { namespace, name: 'post' })).metadata
  return Object.keys(annotations).filter((name) => name.startsWith(LEFT_BEHIND))
}
const bringBack = async () => {
  await announceEngine(false)
  engine.status = 0
  await announceEngine(true)
}
const untilDisabled = async (address: string) => {
  await cluster.eventually(async () => engine.accounts.get(address)?.disabled, `${address} to be disabled`)
  await cluster.eventually(async () => (await leftBehind()).length === 0, 'nothing to be left')
}

test('a deletion waits for an engine that is away, says so, and not for ever; when it is back it is told', {
  skip,
}, async () => {
  await make('heidi', { address: 'heidi@example.org', quota: '1Gi' })
  await until('heidi', 'Applied')
  aheadMs = 0 // the deletion is counted from the API's clock
  engine.status = 503
  await client.delete(MailAccountResource, { namespace, name: 'heidi' })
  const deleting = await until('heidi', 'Deleting')
  assert.match(findCondition(deleting.status?.conditions, 'Ready')?.message ?? '', /post cannot disable .*: HTTP 503/)
  aheadMs = 11 * 60_000
  lookAt('heidi')
  await cluster.eventually(async () => !(await cluster.get(MailAccountResource, 'heidi')), 'heidi to go')
  assert.deepEqual((await eventsOf('heidi')).sort(), ['AccountLeftBehind', 'AccountNotDisabled', 'AccountReady'])
  aheadMs = 0
  assert.equal(engine.accounts.get('heidi@example.org')?.disabled, false)
  assert.equal((await leftBehind()).length, 1)

  await bringBack()
  await untilDisabled('heidi@example.org')
  assert.deepEqual(engine.accounts.get('heidi@example.org'), {
    address: 'heidi@example.org',
    aliases: [],
    quotaBytes: 1_073_741_824,
    disabled: true,
  })
  await cluster.eventually(async () => (await eventsOf('post')).includes('AccountRetained'), 'the Event')
})

/** Its MailAccount is gone, and the engine does not know yet. */
async function leave(name: string, spec: Record<string, unknown> = {}): Promise<void> {
  await make(name, { address: `${name}@example.org`, ...spec })
  await until(name, 'Applied')
  engine.status = 503
  await client.delete(MailAccountResource, { namespace, name })
  await until(name, 'Deleting')
  aheadMs = 11 * 60_000
  lookAt(name)
  await cluster.eventually(async () => !(await cluster.get(MailAccountResource, name)), `${name} to go`)
  aheadMs = 0
}

test('an account that is left behind under Delete is removed when the engine is back', { skip }, async () => {
  await leave('peggy', { deletionPolicy: 'Delete' })
  assert.equal(engine.accounts.has('peggy@example.org'), true)
  await bringBack()
  await cluster.eventually(async () => !engine.accounts.has('peggy@example.org'), 'the account to go')
  await cluster.eventually(async () => (await leftBehind()).length === 0, 'nothing to be left')
})

test('one whose address another MailAccount has by then is that one’s', { skip }, async () => {
  await leave('rupert', { deletionPolicy: 'Delete' })
  await make('rupert', { address: 'rupert@example.org' })
  await cluster.eventually(async () => (await leftBehind()).length === 0, 'nothing to be left')
  const before = engine.calls.length
  await bringBack()
  await until('rupert', 'Applied')
  await quiet(operator)
  assert.equal(engine.accounts.get('rupert@example.org')?.disabled, false)
  assert.equal(engine.calls.slice(before).includes('DELETE rupert@example.org'), false)
})

test('skip-cleanup lets an account go without the engine', { skip }, async () => {
  await make('ivan', { address: 'ivan@example.org' })
  await until('ivan', 'Applied')
  engine.status = 503
  await client.delete(MailAccountResource, { namespace, name: 'ivan' })
  await until('ivan', 'Deleting')
  await annotate('ivan', { [SKIP_CLEANUP]: 'true' })
  await cluster.eventually(async () => !(await cluster.get(MailAccountResource, 'ivan')), 'ivan to go')
  engine.status = 0
  assert.equal(engine.accounts.has('ivan@example.org'), true)
})

test('removing all of an application leaves all mail where the server retains it', { skip }, async () => {
  // As a namespace's end, a deletion in file order or sync waves in reverse do: the accounts first, then the server.
  const names = Array.from({ length: 5 }, (_, index) => `app${index}`)
  for (const name of names) await make(name, { address: `${name}@example.org` })
  for (const name of names) await until(name, 'Applied')
  await Promise.all(names.map(remove))
  assert.deepEqual(
    names.map((name) => engine.accounts.get(`${name}@example.org`)?.disabled),
    names.map(() => true),
  )
})

test('when the server is gone, its accounts are orphans that keep what is known of them', { skip }, async () => {
  const before = (await until('bob', 'Applied')).status
  await client.delete(MailServerResource, { namespace, name: 'post' })
  const { status } = await until('bob', 'Orphaned')
  assert.deepEqual(
    status?.conditions?.map(({ type, status, reason }) => `${type}=${status} ${reason}`),
    ['Ready=False Orphaned', 'Stalled=True Orphaned'],
  )
  assert.deepEqual([status?.usage, status?.appliedHash], [before?.usage, before?.appliedHash])
  assert.deepEqual(await askedBy(async () => lookAt('bob')), [])
})

test('a new server of that name gets them, told anew', { skip }, async () => {
  const { appliedHash } = (await until('bob', 'Orphaned')).status ?? {}
  engine.accounts.clear()
  await announceEngine(false)
  await cluster.mailServer('post')
  await announceEngine(true)
  const { status } = await until('bob', 'Applied')
  assert.notEqual(status?.appliedHash, appliedHash)
  assert.equal(engine.accounts.get('bob@example.org')?.password, 'third')
})

test('an orphan can be deleted', async () => {
  await client.delete(MailServerResource, { namespace, name: 'post' })
  await until('alice', skip ? 'ServerMissing' : 'Orphaned')
  await client.delete(MailAccountResource, { namespace, name: 'alice' })
  await cluster.eventually(async () => (await cluster.get(MailAccountResource, 'alice')) === undefined, 'alice to go')
})

test('an address cannot be changed, a server neither', async () => {
  await make('frank', { address: 'frank@example.org' })
  for (const spec of [{ address: 'other@example.org' }, { serverRef: { name: 'other' } }]) {
    await assert.rejects(change('frank', spec), /is immutable/)
  }
})
