import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startEngine } from '../engine.ts'
import {
  authorization,
  connectImap,
  jmapCall,
  sendMail,
  subjectsByImap,
  subjectsByJmap,
  submitMail,
} from './clients.ts'

const engine = await startEngine({ workers: 2 })
after(() => engine[Symbol.asyncDispose]())

const refusal = async (work: Promise<void>) => {
  const error = await work.then(
    () => assert.fail('was accepted'),
    (reason: { responseCode?: number; response?: string }) => reason,
  )
  return error.response
}

test('mail by SMTP is read by IMAP and by JMAP, bytes and header alike', async () => {
  const raw =
    'From: x@example.net\r\nTo: alice@example.org\r\nSubject: Gr=?utf-8?Q?=C3=BC?=n\r\n\r\nDer K\xc3\xb6rper\r\n'
  await sendMail(engine, { from: 'x@example.net', to: 'alice@example.org', raw })
  const imap = await connectImap(engine, 'alice@example.org')
  const lock = await imap.getMailboxLock('INBOX')
  const message = await imap.fetchOne('*', { source: true, flags: true, emailId: true, envelope: true })
  assert.ok(message)
  assert.ok(
    message.source?.toString('latin1').endsWith(Buffer.from(raw).toString('latin1')),
    'our fields are on top, the rest is untouched',
  )
  await imap.messageFlagsAdd('*', ['\\Flagged'])
  lock.release()
  await imap.logout()
  const { list } = await jmapCall(engine, 'alice@example.org', 'Email/get', {
    ids: [message.emailId],
    properties: ['subject', 'keywords', 'size', 'bodyValues'],
    fetchTextBodyValues: true,
  })
  const [email] = list as Record<string, unknown>[]
  assert.deepEqual(email?.keywords, { $flagged: true }, 'what IMAP sets, JMAP shows')
  assert.equal(email?.size, message.source?.length)
  assert.match(JSON.stringify(email?.bodyValues), /Der/)
})

test('alice submits to bob', async () => {
  const raw = 'From: alice@example.org\r\nTo: bob@example.org\r\nSubject: for bob\r\n\r\nhello\r\n'
  await submitMail(engine, 'alice@example.org', { from: 'alice@example.org', to: 'bob@example.org', raw })
  assert.deepEqual(await subjectsByImap(engine, 'bob@example.org'), ['for bob'])
  assert.deepEqual(await subjectsByJmap(engine, 'bob@example.org'), ['for bob'])
})

test('unknown recipients get 550 5.1.1; strangers cannot relay', async () => {
  const raw = 'Subject: x\r\n\r\n'
  const from = 'x@example.net'
  assert.match((await refusal(sendMail(engine, { from, to: 'nobody@example.org', raw }))) ?? '', /^550 5\.1\.1/)
  assert.match((await refusal(sendMail(engine, { from, to: 'y@elsewhere.example', raw }))) ?? '', /^55\d 5\.7\.1/)
})

test('a change is told on the event streams of every process', async () => {
  const headers = { Authorization: authorization('bob@example.org') }
  const path = '/jmap/eventsource/?types=Email&closeafter=state&ping=0'
  // Each stream holds a connection of its own, and connections go round the workers.
  const streams = await Promise.all([1, 2, 3].map(() => fetch(`${engine.http}${path}`, { headers })))
  await sendMail(engine, { from: 'x@example.net', to: 'bob@example.org', raw: 'Subject: push\r\n\r\n' })
  const events = await Promise.all(streams.map((stream) => stream.text()))
  for (const event of events) assert.match(event, /^event: state\nid: \d+\ndata: \{"@type":"StateChange"/)
})

test('metrics are those of all workers together', async () => {
  const value = (text: string, metric: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${metric} `))
        ?.split(' ')[1],
    )
  const received = 'stalwart_messages_received_total{listener="mx",action="accept"}'
  const before = value(await engine.metrics(), received)
  const sends = Array.from({ length: 6 }, (_, index) =>
    sendMail(engine, { from: 'x@example.net', to: 'alice@example.org', raw: `Subject: ${index}\r\n\r\n` }),
  )
  await Promise.all(sends)
  const text = await engine.metrics()
  assert.equal(value(text, received), before + 6)
  assert.equal(value(text, 'mail_workers'), 2)
  for (const name of [
    'stalwart_messages_sent_total',
    'stalwart_spam_blocked_total',
    'stalwart_queue_size',
    'process_cpu_seconds_total',
    'mail_jmap_method_calls_total',
  ]) {
    assert.match(text, new RegExp(`^${name}[ {]`, 'm'), name)
  }
})

test('mail programs get their settings', async () => {
  const response = await fetch(`${engine.http}/mail/config-v1.1.xml?emailaddress=nobody@example.org`)
  assert.equal(response.status, 200)
  assert.match(await response.text(), /<username>%EMAILADDRESS%<\/username>/)
})
