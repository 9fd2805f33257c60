import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePorts, isFree } from './free-port.ts'

test('free ports differ, can be listened on, and lie below those of outgoing connections', async () => {
  const ports = await freePorts(20)
  assert.equal(new Set(ports).size, 20)
  assert.ok(ports.every((port) => port > 1024 && port < 32_768))
  const [port = 0] = ports
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  assert.equal(await isFree(port), false)
  server.close()
  await once(server, 'close')
  assert.equal(await isFree(port), true)
})
