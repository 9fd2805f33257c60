import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../free-port.ts'
import { runProbe, startProber } from './probes.ts'

async function answering(t: TestContext, status: () => number): Promise<number> {
  const server = createServer((_, response) => response.writeHead(status()).end('because')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('httpGet passes from 200 to 399, and says else what came', async (t) => {
  let status = 200
  const port = await answering(t, () => status)
  const probe = { httpGet: { path: '/readyz', port: 'jmap' } }
  assert.equal(await runProbe(probe, () => port), undefined)
  status = 503
  assert.equal(await runProbe(probe, () => port), 'HTTP probe failed with statuscode: 503: because')
  assert.equal(await runProbe(probe, () => undefined), 'no port jmap')
})

test('tcpSocket passes where somebody listens', async (t) => {
  const [nobody = 0] = await freePorts(1)
  const port = await answering(t, () => 200)
  assert.equal(await runProbe({ tcpSocket: { port: 25 } }, () => port), undefined)
  assert.match((await runProbe({ tcpSocket: { port: 25 } }, () => nobody)) ?? '', /ECONNREFUSED/)
})

test('a prober tells each change of the verdict once, after its threshold', async (t) => {
  let status = 500
  let asked = 0
  const port = await answering(t, () => {
    asked++
    return status
  })
  const verdicts: boolean[] = []
  const told = Promise.withResolvers<void>()
  const probe = { httpGet: { port: 1 }, periodSeconds: 1, failureThreshold: 2 }
  const prober = startProber(
    probe,
    () => port,
    (passed) => {
      verdicts.push(passed)
      status = passed ? 500 : 200
      if (verdicts.length === 3) told.resolve()
    },
  )
  t.after(() => prober.stop())
  await told.promise
  assert.deepEqual(verdicts, [false, true, false])
  assert.ok(asked >= 5, 'two failures for each bad verdict')
})

test('a path that is no path is a failure, not a crash', async (t) => {
  const failed = Promise.withResolvers<string>()
  const probe = { httpGet: { port: 1, path: '/\u0000' }, periodSeconds: 1, failureThreshold: 1 }
  const prober = startProber(
    probe,
    () => 1,
    (_, message) => failed.resolve(message),
  )
  t.after(() => prober.stop())
  assert.match(await failed.promise, /unescaped/)
})
