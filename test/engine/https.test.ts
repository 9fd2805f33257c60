/** Port 443 of the mail Service: HTTP for the world, at every name of the server, and nothing of the inside. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { freePorts } from '../../operator/local/free-port.ts'
import { selfSigned } from '../certificate.ts'
import { startEngine } from '../engine.ts'

const [https = 0] = await freePorts(1)
const additional = [{ certFile: 'tls-further/2/tls.crt', keyFile: 'tls-further/2/tls.key' }]
const engine = await startEngine({ config: { listeners: { https }, tls: { additional } } })
after(() => engine[Symbol.asyncDispose]())

const login = `Basic ${Buffer.from('alice@example.org:secret').toString('base64')}`
async function ask(host: string, path: string, headers: Record<string, string> = {}) {
  const asked = request({
    ...{ host: '127.0.0.1', port: https, servername: host, path, agent: false },
    headers: { host, ...headers },
    rejectUnauthorized: false,
  })
  asked.end()
  const [response] = await once(asked, 'response')
  const { subject } = (response.socket as TLSSocket).getPeerCertificate()
  response.resume()
  return { status: response.statusCode, shown: subject.CN }
}
const statusOf = async (...given: Parameters<typeof ask>) => (await ask(...given)).status

test('what the world asks is answered at the names of the server', async () => {
  assert.equal(await statusOf('mail.example.org', '/.well-known/jmap'), 401)
  assert.equal(await statusOf('mail.example.org', '/jmap/session', { Authorization: login }), 200)
  assert.equal(await statusOf('mta-sts.example.org', '/.well-known/mta-sts.txt'), 200)
  assert.equal(await statusOf('autoconfig.example.org', '/mail/config-v1.1.xml'), 200)
})

test('health, metrics and the admin API are not there, with the right token neither', async () => {
  for (const path of ['/healthz', '/readyz', '/metrics', '/admin/v1/accounts', '/']) {
    const token = { Authorization: `Bearer ${engine.adminToken}` }
    assert.equal(await statusOf('mail.example.org', path, token), 404, path)
  }
  // Inside they are.
  assert.equal((await fetch(`${engine.http}/metrics`)).status, 200)
})

test('without TLS nobody is answered', async () => {
  await assert.rejects(fetch(`http://127.0.0.1:${https}/.well-known/jmap`))
})

test('a further certificate is taken up without a restart, and shown for its names', async () => {
  assert.equal((await ask('mta-sts.example.org', '/.well-known/mta-sts.txt')).shown, 'localhost')
  const { cert, key } = await selfSigned(['mta-sts.example.org'])
  const directory = join(engine.rootDirectory, 'tls-further/2')
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'tls.key'), key)
  await writeFile(join(directory, 'tls.crt'), cert)
  for (let times = 0; times < 200; times++) {
    if ((await ask('mta-sts.example.org', '/.well-known/mta-sts.txt')).shown === 'mta-sts.example.org') break
    await sleep(50)
  }
  assert.equal((await ask('mta-sts.example.org', '/.well-known/mta-sts.txt')).shown, 'mta-sts.example.org')
  assert.equal((await ask('mail.example.org', '/.well-known/jmap')).shown, 'localhost')
})
