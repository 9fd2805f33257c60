import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { selfSigned } from '../../test/certificate.ts'
import { acceptSessions } from './accept.ts'
import { createListenerMetrics } from './metrics.ts'
import { readPair, watchCertificate } from './tls.ts'

const log = pino({ level: 'silent' })

/** A TLS port whose own certificate is for mail.example.org, and that may have further ones. */
async function listenWith(t: TestContext, additional: string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'tls-'))
  t.after(() => rm(directory, { recursive: true }))
  const filesOf = (name: string) => ({
    certFile: join(directory, `${name}.crt`),
    keyFile: join(directory, `${name}.key`),
  })
  async function write(name: string, names: string[], more: { days?: number } = {}): Promise<void> {
    const { cert, key } = await selfSigned(names, more)
    const { certFile, keyFile } = filesOf(name)
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)])
  }
  await write('own', ['mail.example.org'], { days: 30 })
  const named = [...additional]
  const registry = new Registry()
  const certificate = await watchCertificate({
    ...{ log, registry, intervalMs: 10 },
    files: () => filesOf('own'),
    additional: () => named.map(filesOf),
  })
  t.after(() => certificate[Symbol.dispose]())
  const listener = await acceptSessions({
    ...{ name: 'test', address: '127.0.0.1', port: 0, tls: 'implicit', certificate, log },
    trustedNetworks: () => [],
    limits: () => ({ sessionsPerProcess: 100, sessionsPerAddress: 100 }),
    onSession: (socket) => socket.end(),
    metrics: createListenerMetrics(registry),
  })
  t.after(() => listener[Symbol.asyncDispose]())
  return {
    directory,
    write,
    name: (file: string) => named.push(file),
    metrics: () => registry.metrics(),
    /** The common name that is shown to who asks for a name. */
    async shown(servername?: string): Promise<unknown> {
      const options = { host: '127.0.0.1', port: listener.port, rejectUnauthorized: false }
      const socket = connect(servername === undefined ? options : { ...options, servername })
      socket.on('error', () => {})
      await once(socket, 'secureConnect')
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      return subject.CN
    },
  }
}

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let times = 0; times < 200; times++) {
    if (await check()) return
    await sleep(20)
  }
  assert.fail('it did not come')
}

test('a key file that is only being written is no key yet', async () => {
  const { cert, key } = await selfSigned(['mail.example.org'])
  assert.throws(() => readPair(cert, ''))
  assert.throws(() => readPair('', key))
  assert.throws(() => readPair(cert, key.slice(0, 40)))
})

test('a client is shown the certificate for the name that it asks for (RFC 6066 §3)', async (t) => {
  const { write, shown, name } = await listenWith(t, [])
  await write('second', ['mta-sts.example.net', 'autoconfig.example.net', '*.wild.example'])
  name('second')
  await eventually(async () => (await shown('autoconfig.example.net')) === 'mta-sts.example.net')
  assert.equal(await shown('MTA-STS.example.net'), 'mta-sts.example.net')
  assert.equal(await shown('any.wild.example'), 'mta-sts.example.net')
  for (const other of ['mail.example.org', 'unknown.example.com', 'a.b.wild.example', undefined]) {
    assert.equal(await shown(other), 'mail.example.org', other)
  }
})

test('a further certificate may come later, is renewed, and one that does not work leaves the one before', async (t) => {
  const { directory, write, shown, metrics } = await listenWith(t, ['second'])
  const failures = async () => Number(/^mail_tls_reload_failures_total (\d+)/m.exec(await metrics())?.[1])
  assert.equal(await shown('mta-sts.example.net'), 'mail.example.org')
  assert.equal(await failures(), 0)
  await write('second', ['first.example.net', 'mta-sts.example.net'])
  await eventually(async () => (await shown('mta-sts.example.net')) === 'first.example.net')
  await write('second', ['renewed.example.net', 'mta-sts.example.net'])
  await eventually(async () => (await shown('mta-sts.example.net')) === 'renewed.example.net')
  const before = await failures()
  await writeFile(join(directory, 'second.crt'), (await selfSigned(['broken.example.net'])).cert)
  await eventually(async () => (await failures()) > before)
  assert.equal(await shown('mta-sts.example.net'), 'renewed.example.net')
})

test('the metric is of the certificate that ends first', async (t) => {
  const { write, metrics } = await listenWith(t, ['second'])
  const ends = async () =>
    Number(/^mail_tls_certificate_expiration_timestamp_seconds (\S+)/m.exec(await metrics())?.[1])
  const own = await ends()
  await write('second', ['mta-sts.example.net'], { days: 5 })
  await eventually(async () => (await ends()) < own)
})
