import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { selfSigned } from '../../test/certificate.ts'
import { createHttpMetrics } from '../http/metrics.ts'
import { createHttpServer } from '../http/server.ts'
import { healthRoutes } from '../process/health.ts'
import { createReadiness } from '../process/readiness.ts'
import { type AcceptOptions, acceptSessions } from './accept.ts'
import { createListenerMetrics } from './metrics.ts'
import { type CertificatePair, readPair } from './tls.ts'

const log = pino({ level: 'silent' })
const { cert, key } = await selfSigned(['localhost'])

function certificate(pair: CertificatePair | undefined) {
  return {
    current: () => pair,
    forName: () => undefined,
    problem: () => undefined,
    onChange: () => () => {},
    [Symbol.dispose]: () => {},
  }
}

async function listener(options: Partial<AcceptOptions>) {
  const registry = new Registry()
  const accepted = await acceptSessions({
    name: 'test',
    address: '127.0.0.1',
    port: 0,
    tls: 'detect',
    certificate: certificate(readPair(cert, key)),
    trustedNetworks: () => [],
    limits: () => ({ sessionsPerProcess: 100, sessionsPerAddress: 100 }),
    onSession: (socket, { remoteAddress, tls }) => socket.end(`${remoteAddress} ${tls ? 'TLS' : 'plain'}`),
    metrics: createListenerMetrics(registry),
    log,
    ...options,
  })
  return Object.assign(accepted, { registry })
}

async function all(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => {}) // a reset: what came before it counts
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}
const plain = (port: number, first: string) => {
  const socket = connect(port, '127.0.0.1')
  socket.write(first)
  return all(socket)
}

test('the first byte tells plain from TLS on one port', async () => {
  await using at = await listener({})
  assert.equal(await plain(at.port, 'G'), '127.0.0.1 plain')
  assert.equal(await all(connectTls({ port: at.port, host: '127.0.0.1', rejectUnauthorized: false })), '127.0.0.1 TLS')
})

test('a PROXY header names the client when its sender is trusted, before plain and before TLS', async () => {
  await using at = await listener({ trustedNetworks: () => ['127.0.0.0/8'] })
  const header = 'PROXY TCP4 192.0.2.7 192.0.2.9 4000 993\r\n'
  assert.equal(await plain(at.port, `${header}G`), '192.0.2.7 plain')
  assert.equal(await plain(at.port, 'P'.repeat(7)), '127.0.0.1 plain', 'a probe without a header')
  const socket = connect(at.port, '127.0.0.1')
  socket.write(header)
  assert.equal(await all(connectTls({ socket, rejectUnauthorized: false })), '192.0.2.7 TLS')
})

test('a PROXY header of a stranger is no header', async () => {
  await using at = await listener({ trustedNetworks: () => ['10.0.0.0/8'] })
  assert.equal(await plain(at.port, 'PROXY TCP4 192.0.2.7 192.0.2.9 4000 993\r\n'), '127.0.0.1 plain')
})

test('implicit TLS without a certificate closes the connection', async () => {
  await using at = await listener({ tls: 'implicit', certificate: certificate(undefined) })
  await assert.rejects(
    new Promise((resolve, reject) => {
      connectTls({ port: at.port, host: '127.0.0.1' }).once('secureConnect', resolve).once('error', reject)
    }),
  )
  assert.match(
    await at.registry.metrics(),
    /mail_connections_refused_total\{listener="test",reason="no-certificate"\} 1/,
  )
})

test('one session more than an address may have is refused, and others after one has ended are not', async () => {
  const sessions: Socket[] = []
  await using at = await listener({
    limits: () => ({ sessionsPerProcess: 100, sessionsPerAddress: 1 }),
    onSession(socket) {
      sessions.push(socket.resume())
      socket.write('hello')
    },
  })
  const first = connect(at.port, '127.0.0.1')
  first.write('x')
  await new Promise((resolve) => first.once('data', resolve))
  assert.equal(await plain(at.port, 'x'), '')
  first.destroy()
  await new Promise((resolve) => sessions[0]?.once('close', resolve))
  const second = connect(at.port, '127.0.0.1')
  second.write('x')
  await new Promise((resolve) => second.once('data', resolve))
  second.destroy()
})

test('a connection that never says anything is ended at the deadline', async () => {
  await using at = await listener({ openingMs: 20 })
  assert.equal(await all(connect(at.port, '127.0.0.1')), '')
  assert.match(await at.registry.metrics(), /mail_connections_refused_total\{listener="test",reason="timeout"\} 1/)
})

test('a TLS handshake that does not end is ended at the deadline, and counted once', async () => {
  await using at = await listener({ tls: 'implicit', openingMs: 20 })
  assert.equal(await all(connect(at.port, '127.0.0.1')), '')
  const text = await at.registry.metrics()
  assert.deepEqual(text.match(/^mail_connections_refused_total.*$/gm), [
    'mail_connections_refused_total{listener="test",reason="timeout"} 1',
  ])
})

test('HTTP is spoken plain and over TLS, and says what is missing', async () => {
  const readiness = createReadiness()
  readiness.set('database', () => {
    throw new Error('connection refused')
  })
  const registry = new Registry()
  await using http = createHttpServer({ metrics: createHttpMetrics(registry), log })
  http.routes.push(...healthRoutes({ readiness, metrics: () => registry.metrics(), contentType: registry.contentType }))
  await using at = await listener({ onSession: (socket, session) => http.serve(socket, session) })
  const get = (path: string) => fetch(`http://127.0.0.1:${at.port}${path}`)
  const unready = await get('/readyz')
  assert.equal(unready.status, 503)
  assert.deepEqual(await unready.json(), { ready: false, checks: { database: 'connection refused' } })
  readiness.set('database', () => {})
  assert.equal((await get('/readyz')).status, 200)
  assert.equal((await get('/nowhere')).status, 404)
  assert.equal((await fetch(`http://127.0.0.1:${at.port}/healthz`, { method: 'POST' })).status, 405)
  const tls = connectTls({ port: at.port, host: '127.0.0.1', rejectUnauthorized: false })
  tls.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  assert.match(await all(tls), /^HTTP\/1\.1 200 OK[\s\S]*\{"alive":true\}$/)
  assert.match(
    await (await get('/metrics')).text(),
    /mail_http_requests_total\{route="readyz",method="GET",status="503"\} 1/,
  )
  readiness.drain()
  assert.equal((await get('/readyz')).status, 503)
})
