/** The main job, end to end, through `npm start`'s own code: one YAML in, a working mail service out. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { SMTPServer } from 'smtp-server'
import { parseAllDocuments, stringify } from 'yaml'
import { Deployment, Pod, PodDisruptionBudget, Secret, Service } from '../../operator/kube/resources.ts'
import type { KubeObject, Resource } from '../../operator/kube/types.ts'
import { type Endpoints, type LocalCluster, type LocalOptions, startLocal } from '../../operator/local/main.ts'
import { AlreadyRunning } from '../../operator/local/start/lock.ts'
import { messageIdsByImap, messageIdsByJmap, openImap, openJmap, sendMail, submitMail, type User } from './clients.ts'
import { type DnsServer, startDnsServer } from './dns-server.ts'

const namespace = 'communication'
const server = { namespace, name: 'stalwart' }
const MailServer: Resource = {
  group: 'mail.openova.io',
  version: 'v1alpha1',
  kind: 'MailServer',
  plural: 'mailservers',
  namespaced: true,
}
const Cluster: Resource = {
  group: 'postgresql.cnpg.io',
  version: 'v1',
  kind: 'Cluster',
  plural: 'clusters',
  namespaced: true,
}
const MailAccount: Resource = { ...MailServer, kind: 'MailAccount', plural: 'mailaccounts' }
const MESSAGE_LIMIT = 400_000

let dir: string
let options: LocalOptions
let cluster: LocalCluster
let endpoints: Endpoints
let alice: User
let bob: User
let dns: DnsServer
/** What the sink, standing for all foreign domains, was given. */
const delivered: { to: string[]; raw: string }[] = []
const sink = new SMTPServer({
  disabledCommands: ['AUTH', 'STARTTLS'],
  onData(stream, session, done) {
    let raw = ''
    stream.setEncoding('latin1').on('data', (chunk) => {
      raw += chunk
    })
    stream.on('end', () => {
      delivered.push({ to: session.envelope.rcptTo.map(({ address }) => address), raw })
      done()
    })
  },
})

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'main job '))
  sink.listen(0, '127.0.0.1')
  await once(sink.server, 'listening')
  dns = await startDnsServer(() => [
    { type: 'MX', name: 'foreign.test', value: '10 mx.foreign.test' },
    { type: 'A', name: 'mx.foreign.test', value: '127.0.0.1' },
  ])
  const file = join(dir, 'given.yaml')
  await writeFile(file, await yamlForThisTest())
  const any = { smtp: 0, submissions: 0, submission: 0, imaps: 0, http: 0, https: 0, metrics: 0, api: 0 }
  options = {
    dir: join(dir, 'state'),
    files: [file],
    ports: any,
    progress: (text) => process.stdout.write(`# ${text}\n`),
  }
  await start()
})

after(async () => {
  await cluster?.stop()
  await dns?.[Symbol.asyncDispose]()
  await new Promise<void>((resolve) => sink.close(resolve))
  await rm(dir, { recursive: true, force: true })
})

/** The samples, with a resolver and MX port of ours, a smaller size limit, and a rule to be judged by. */
async function yamlForThisTest(): Promise<string> {
  const samples = ['1-mailserver.yaml', '2-mailaccounts.yaml'].map((name) => join('crds', 'samples', name))
  const texts = await Promise.all(samples.map((path) => readFile(join(import.meta.dirname, '..', '..', path), 'utf8')))
  const documents = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS()))
  for (const object of documents) {
    if (object.kind !== 'MailServer') continue
    object.spec.dns = { resolvers: [dns.address] }
    object.spec.outbound = {
      mxPort: (sink.server.address() as AddressInfo).port,
      allowPrivateAddresses: true,
      retryDelays: ['1s'],
    }
    object.spec.limits = { messageBytes: MESSAGE_LIMIT }
    object.spec.spam.rules.push('header TEST_JUNK Subject =~ /file me under junk/\nscore TEST_JUNK 6.0\n')
  }
  return documents.map((object) => stringify(object)).join('---\n')
}

async function start(): Promise<void> {
  cluster = await startLocal(options)
  endpoints = cluster.endpoints
  const [first, second] = endpoints.accounts
  assert.ok(first && second)
  alice = first
  bob = second
}

/** Waits for something to become true; the test's own timeout bounds it. */
async function until<T>(what: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const result = await what()
    if (result) return result
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

const responseOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => assert.fail('it was accepted'),
    (error: { response?: string }) => error.response ?? String(error),
  )

const newId = (): string => `<${randomBytes(12).toString('hex')}@sender.test>`

const enginePods = async (): Promise<KubeObject<unknown, { conditions?: { type: string; status: string }[] }>[]> => {
  const labelSelector = 'app.kubernetes.io/name=mail-engine,app.kubernetes.io/instance=stalwart'
  return (await cluster.client.list(Pod, { namespace, labelSelector })).items as Awaited<ReturnType<typeof enginePods>>
}
const readyPids = async (): Promise<number[]> =>
  (await enginePods())
    .filter(({ status }) => status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
    .map(({ metadata }) => Number(metadata.annotations?.['local.mail.openova.io/pid']))

test('1: the YAML became a service, and endpoints.json tells where', async () => {
  const written = JSON.parse(await readFile(join(dir, 'state', 'endpoints.json'), 'utf8'))
  assert.deepEqual(written, endpoints)
  assert.deepEqual(Object.keys(written), [
    'kubeconfig',
    'smtp',
    'submissions',
    'submission',
    'imaps',
    'http',
    'metrics',
    'accounts',
    'caFile',
  ])
  assert.equal((await stat(join(dir, 'state', 'endpoints.json'))).mode & 0o777, 0o600)
  assert.equal((await stat(endpoints.kubeconfig)).mode & 0o777, 0o600)
  assert.deepEqual(endpoints.accounts.map(({ address }) => address).sort(), ['alice@example.org', 'bob@example.org'])
  const { client } = cluster
  for (const resource of [Deployment, Service, PodDisruptionBudget])
    assert.ok(await client.find(resource, server), resource.kind)
  const secrets = (await client.list(Secret, { namespace })).items.map(({ metadata }) => metadata.name)
  for (const name of [
    'stalwart-admin',
    'stalwart-tls',
    'stalwart-db-app',
    'stalwart-db-credentials',
    'minio',
    'alice-password',
  ]) {
    assert.ok(secrets.includes(name), name)
  }
  assert.ok(await client.find(Cluster, { namespace, name: 'stalwart-db' }))
  const live = await client.get<
    KubeObject<unknown, { dns?: { records?: { type: string; name: string; value: string }[] } }>
  >(MailServer, server)
  const records = (live.status?.dns?.records ?? []).map(({ type, name, value }) => `${type} ${name} ${value}`)
  for (const pattern of [
    /^MX example\.org 10 mail\.example\.org/,
    /^TXT example\.org v=spf1 /,
    /^TXT default\._domainkey\.example\.org v=DKIM1;/,
    /^TXT _dmarc\.example\.org v=DMARC1; ?p=reject/,
  ]) {
    assert.ok(
      records.some((record) => pattern.test(record)),
      `${pattern} in ${records.join('\n')}`,
    )
  }
})

test('2: mail by SMTP is read by IMAP and JMAP, bytes and structure alike', async () => {
  const messageId = newId()
  const attachment = randomBytes(150_000) // above storage.s3.inlineMaxBytes: it goes through the bucket
  await sendMail(endpoints, {
    messageId,
    from: 'Jörg <joerg@sender.test>',
    to: ['alice@example.org', 'bob@example.org'],
    subject: 'Grüße aus Köln',
    text: 'Schöne Grüße, 8 Bit.',
    textEncoding: 'quoted-printable',
    attachments: [{ filename: 'übersicht.bin', content: attachment }],
  })
  for (const user of [alice, bob]) assert.deepEqual(await messageIdsByImap(endpoints, user), [messageId])
  await using imap = await openImap(endpoints, alice)
  assert.ok((await imap.list()).some(({ specialUse }) => specialUse === '\\Junk'))
  const lock = await imap.getMailboxLock('INBOX')
  const message = await imap.fetchOne('1', {
    envelope: true,
    bodyStructure: true,
    source: true,
    flags: true,
    emailId: true,
  })
  assert.ok(message)
  assert.ok(message.bodyStructure?.childNodes)
  assert.equal(message.envelope?.subject, 'Grüße aus Köln')
  assert.equal(message.envelope?.from?.[0]?.name, 'Jörg')
  assert.deepEqual(
    message.bodyStructure.childNodes.map(({ type }) => type),
    ['text/plain', 'application/octet-stream'],
  )
  const { content } = await imap.download('1', '2')
  assert.ok(content)
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  assert.ok(Buffer.concat(pieces).equals(attachment), 'the attachment is the same')
  assert.equal(message.source?.toString('latin1').match(/^Authentication-Results:/gim)?.length, 1)
  await imap.messageFlagsAdd('1', ['\\Seen', '\\Flagged'])
  assert.deepEqual(await imap.search({ flagged: true, subject: 'Köln' }), [1])
  lock.release()

  const jmap = await openJmap(endpoints, alice)
  const { list: mailboxes } = await jmap.call('Mailbox/get', { ids: null })
  const inbox = (mailboxes as { id: string; role: string }[]).find(({ role }) => role === 'inbox')
  const { ids } = await jmap.call('Email/query', { filter: { inMailbox: inbox?.id } })
  assert.deepEqual(ids, [message.emailId])
  const { list } = await jmap.call('Email/get', {
    ids,
    properties: ['subject', 'keywords', 'blobId', 'attachments', 'size'],
  })
  const [email] = list as {
    subject: string
    keywords: object
    blobId: string
    size: number
    attachments: { name: string; blobId: string }[]
  }[]
  assert.equal(email?.subject, 'Grüße aus Köln')
  assert.deepEqual(email?.keywords, { $seen: true, $flagged: true })
  assert.equal(email?.attachments[0]?.name, 'übersicht.bin')
  assert.ok((await jmap.download(email?.attachments[0]?.blobId ?? '')).equals(attachment))
  assert.ok((await jmap.download(email?.blobId ?? '')).equals(message.source ?? Buffer.alloc(0)))
})

test('2: submission on 587 and 465, IDLE, APPEND and EXPUNGE', async () => {
  await using imap = await openImap(endpoints, bob)
  const lock = await imap.getMailboxLock('INBOX')
  const arrived = once(imap, 'exists')
  const idling = imap.idle()
  const byStartTls = newId()
  await submitMail(endpoints, 'submission', alice, {
    messageId: byStartTls,
    to: bob.address,
    subject: '587',
    text: 'hello',
  })
  await arrived
  await imap.noop()
  await idling
  const byTls = newId()
  await submitMail(endpoints, 'submissions', alice, {
    messageId: byTls,
    to: bob.address,
    subject: '465',
    text: 'hello',
  })
  const ids = await messageIdsByImap(endpoints, bob)
  assert.ok(ids.includes(byStartTls) && ids.includes(byTls), ids.join())
  const appended = await imap.append('INBOX', 'Subject: mine\r\nMessage-ID: <draft@example.org>\r\n\r\ntext\r\n', [
    '\\Draft',
  ])
  assert.ok(appended)
  assert.ok(appended.uid)
  assert.ok(await imap.messageDelete(String(appended.uid), { uid: true }))
  assert.equal((await messageIdsByImap(endpoints, bob)).includes('<draft@example.org>'), false)
  lock.release()
})

test('2: who is not known, may not or is too large is refused in SMTP’s terms', async () => {
  const mail = { from: 'someone@sender.test', subject: 'x', text: 'x' }
  assert.match(await responseOf(sendMail(endpoints, { ...mail, to: 'nobody@example.org' })), /^550 5\.1\.1 /)
  assert.match(await responseOf(sendMail(endpoints, { ...mail, to: 'someone@foreign.test' })), /^55\d 5\.7\.1 /)
  const text = 'a line of text that is too much\r\n'.repeat(MESSAGE_LIMIT / 30)
  assert.match(await responseOf(sendMail(endpoints, { ...mail, to: alice.address, text })), /^552 /)
})

test('3: mail to a foreign domain is queued, DKIM-signed, and delivered to its MX', async () => {
  await submitMail(endpoints, 'submissions', alice, {
    to: 'friend@foreign.test',
    subject: 'Signed',
    text: 'with our key',
  })
  const [mail] = await until(async () => delivered.length > 0 && delivered)
  assert.deepEqual(mail?.to, ['friend@foreign.test'])
  const live = await cluster.client.get<
    KubeObject<unknown, { dns?: { records?: { type: string; name: string; value: string }[] } }>
  >(MailServer, server)
  const records = live.status?.dns?.records ?? []
  // The public keys are those that status.dns asks to publish.
  const resolver = async (name: string): Promise<string[][]> => {
    const found = records.filter((record) => record.type === 'TXT' && record.name === name)
    if (found.length === 0) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
    return found.map(({ value }) => [value])
  }
  const { results } = await dkimVerify(Buffer.from(mail?.raw ?? '', 'latin1'), { resolver })
  const verdicts = results.map(({ signingDomain, status }) => `${signingDomain} ${status.result}`)
  assert.ok(verdicts.length > 0 && verdicts.every((verdict) => verdict === 'example.org pass'), verdicts.join())
})

test('4: what the rules dislike lies in Junk; what they abhor is refused', async () => {
  const messageId = newId()
  const mail = { from: 'someone@sender.test', to: alice.address }
  await sendMail(endpoints, { ...mail, messageId, subject: 'file me under junk', text: 'x' })
  await using imap = await openImap(endpoints, alice)
  const junk = (await imap.list()).find(({ specialUse }) => specialUse === '\\Junk')?.path ?? ''
  assert.deepEqual(await messageIdsByImap(endpoints, alice, junk), [messageId])
  const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'
  assert.match(await responseOf(sendMail(endpoints, { ...mail, subject: 'test', text: gtube })), /^55\d 5\.7\.1 /)
})

test('5: kubectl', async (t) => {
  const kubectl = process.env.KUBECTL || 'kubectl'
  if (spawnSync(kubectl, ['version', '--client']).status !== 0) return t.skip('there is no kubectl')
  // Not execFileSync: the API is in this very process.
  const run = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(kubectl, ['--kubeconfig', endpoints.kubeconfig, '-n', namespace, ...args])).stdout
  assert.match(await run('get', 'mailservers,mailaccounts', '-A'), /mailserver\.mail\.openova\.io\/stalwart +True/)
  assert.match(await run('get', 'ms', 'stalwart', '-o', 'wide'), /mail\.example\.org/)
  assert.match(await run('get', 'ma', '-o', 'yaml'), /address: alice@example\.org/)
  assert.match(await run('describe', 'ms', 'stalwart'), /Hostname: +mail\.example\.org/)
  assert.match(await run('explain', 'mailserver.spec.spam'), /requiredScore/)
  assert.match(await run('api-resources'), /^mailservers +ms /m)
  await run('apply', '--server-side', '--force-conflicts', '-f', options.files?.[0] ?? '')
  await run('patch', 'ms', 'stalwart', '--type=merge', '-p', '{"metadata":{"labels":{"seen":"yes"}}}')
  assert.match(await run('get', 'ms', '-l', 'seen=yes', '-o', 'name'), /stalwart/)
  await run('delete', 'service', 'stalwart-http', '--wait=false')
})

test('5: a deleted Service comes back, and its port with it', async () => {
  const before = await cluster.client.get(Service, server)
  await cluster.client.delete(Service, server)
  await until(async () => {
    const now = await cluster.client.find(Service, server)
    return now && now.metadata.uid !== before.metadata.uid
  })
  await until(() =>
    sendMail(endpoints, { from: 'a@sender.test', to: bob.address, subject: 'again', text: 'x' }).catch(
      () => false as const,
    ),
  )
})

test('5: scaled to three, engines killed under load: every 250 is there exactly once', async () => {
  await cluster.client.mergePatch(MailServer, server, { spec: { replicas: 3 } })
  await until(async () => (await readyPids()).length === 3)
  const acknowledged: string[] = []
  let kills = 0
  let left = 300
  const killer = (async () => {
    while (kills < 4 && left > 0) {
      const pids = await readyPids()
      // One at a time, as accidents come: the others take over meanwhile.
      const pid = pids[kills % pids.length]
      if (pids.length >= 2 && pid) {
        process.kill(pid, 'SIGKILL')
        kills++
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
  })()
  const sender = async (): Promise<void> => {
    while (left > 0) {
      const messageId = newId()
      const mail = { messageId, from: 'load@sender.test', to: alice.address, subject: 'load', text: 'x'.repeat(2_000) }
      const answer = await sendMail(endpoints, mail).catch(() => '')
      // No answer is no promise: such a message may be there or not, and its sender would try again.
      if (!answer.startsWith('250')) continue
      acknowledged.push(messageId)
      left--
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await Promise.all([sender(), sender(), sender(), sender()])
  await killer
  assert.ok(kills >= 1, 'nobody was killed')
  await until(async () => (await readyPids()).length === 3)
  const byImap = await messageIdsByImap(endpoints, alice)
  const byJmap = await messageIdsByJmap(endpoints, alice)
  for (const [how, ids] of [
    ['IMAP', byImap],
    ['JMAP', byJmap],
  ] as const) {
    const counts = new Map<string, number>()
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
    const wrong = acknowledged.filter((id) => counts.get(id) !== 1)
    assert.deepEqual(
      wrong,
      [],
      `${how}: ${wrong.length} of ${acknowledged.length} not exactly once, after ${kills} kills`,
    )
  }
})

test('6: all of the application deleted, accounts first, and applied again: the same mail', async () => {
  const { client } = cluster
  const gone = async (resource: Resource, key: { namespace: string; name: string }) => {
    await client.delete(resource, key)
    await until(async () => !(await client.find(resource, key)))
  }
  const users = { alice, bob }
  const before = { alice: await messageIdsByImap(endpoints, alice), bob: await messageIdsByImap(endpoints, bob) }
  assert.ok(before.alice.length > 0)
  for (const name of Object.keys(users)) await gone(MailAccount, { namespace, name })
  await assert.rejects(openImap(endpoints, alice), { authenticationFailed: true })
  // Mail for an address that somebody had is not bounced.
  const messageId = newId()
  await sendMail(endpoints, { messageId, from: 'late@sender.test', to: alice.address, subject: 'late', text: 'x' })
  await gone(MailServer, server)
  await until(async () => !(await client.find(Deployment, server)) && (await enginePods()).length === 0)

  const yaml = await readFile(options.files?.[0] ?? '', 'utf8')
  for (const document of parseAllDocuments(yaml)) {
    const object = document.toJS() as KubeObject
    const resource = [MailServer, MailAccount].find(({ kind }) => kind === object.kind)
    if (resource) await client.apply(resource, object, { fieldManager: 'test' })
  }
  for (const [name, user] of Object.entries(users)) {
    await until(async () => {
      const found = (await client.find(MailAccount, { namespace, name }))?.status as
        | { conditions?: { type: string; status: string }[] }
        | undefined
      return found?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    })
    const secret = await client.get(Secret, { namespace, name: `${name}-password` })
    user.password = Buffer.from(secret.data?.password ?? '', 'base64').toString()
  }
  assert.deepEqual(await messageIdsByImap(endpoints, alice), [...before.alice, messageId])
  assert.deepEqual(await messageIdsByImap(endpoints, bob), before.bob)
  await cluster.client.mergePatch(MailServer, server, { spec: { replicas: 3 } })
  await until(async () => (await readyPids()).length === 3)
})

test('1: a second start beside it refuses; the next one brings back the same mail', async () => {
  await assert.rejects(startLocal(options), AlreadyRunning)
  const before = { alice: await messageIdsByImap(endpoints, alice), bob: await messageIdsByImap(endpoints, bob) }
  const password = alice.password
  await cluster.stop()
  await assert.rejects(stat(join(dir, 'state', 'endpoints.json')), { code: 'ENOENT' })
  options = { ...options, files: [] } // what is there is kept, also the third replica
  await start()
  assert.equal(alice.password, password)
  assert.deepEqual(
    { alice: await messageIdsByImap(endpoints, alice), bob: await messageIdsByImap(endpoints, bob) },
    before,
  )
  assert.equal((await readyPids()).length, 3)
})
