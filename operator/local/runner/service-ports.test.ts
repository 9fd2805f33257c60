import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../free-port.ts'
import { openServicePorts, PortTaken } from './service-ports.ts'

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ports-test-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'ports.json')
}

async function occupied(t: TestContext): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('the second server gets the next port, and both the same ones in the next run', async (t) => {
  const path = await temporary(t)
  const [usual = 0] = await freePorts(1)
  const ports = openServicePorts(path, { 25: usual }, () => {})
  assert.equal(await ports.portFor('a/one:25', 25), usual)
  ports.opened('a/one:25', usual)
  const second = await ports.portFor('a/two:25', 25)
  assert.ok(second > usual)
  ports.opened('a/two:25', second)
  const again = openServicePorts(path, { 25: usual }, () => {})
  assert.equal(await again.portFor('a/two:25', 25), second)
  assert.equal(await again.portFor('a/one:25', 25), usual)
})

test('a port that was asked for and is taken is an error; a usual one is replaced, and that is told', async (t) => {
  const path = await temporary(t)
  const taken = await occupied(t)
  const told: unknown[] = []
  await assert.rejects(openServicePorts(path, { 25: taken }, () => {}).portFor('a/one:25', 25), PortTaken)
  const port = await openServicePorts(path, {}, (...said) => told.push(said)).portFor('a/one', taken)
  assert.ok(port > taken)
  assert.deepEqual(told, [['a/one', taken, port]])
})
