import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../free-port.ts'
import { openForward } from './forward.ts'

/** A server that greets with its name and echoes. */
async function echo(t: TestContext, name: string): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write(name)
    socket.pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function open(port: number): Promise<{ socket: Socket; greeting: string }> {
  const socket = connect({ host: '127.0.0.1', port })
  const [greeting] = await once(socket, 'data')
  return { socket, greeting: String(greeting) }
}

async function forwardTo(t: TestContext, ...targets: number[]) {
  // Not one that the system gives: once closed, it may be anybody's.
  const [port = 0] = await freePorts(1)
  const forward = await openForward(port)
  t.after(() => forward.close())
  forward.setTargets(targets)
  return forward
}

test('connections go where the fewest are', async (t) => {
  const forward = await forwardTo(t, await echo(t, 'a'), await echo(t, 'b'))
  const opened: Awaited<ReturnType<typeof open>>[] = []
  for (let count = 0; count < 6; count++) opened.push(await open(forward.port))
  const atA = opened.filter(({ greeting }) => greeting === 'a')
  assert.equal(atA.length, 3)
  for (const { socket } of atA) socket.destroy()
  // Their ends arrive at the forward a moment later; from then on the next three have one way to go.
  for (let inARow = 0; inARow < 3; ) inARow = (await open(forward.port)).greeting === 'a' ? inARow + 1 : 0
})

test('an endpoint that refuses is passed over', async (t) => {
  const [nobody = 0] = await freePorts(1)
  const forward = await forwardTo(t, nobody, await echo(t, 'alive'))
  for (let count = 0; count < 4; count++) assert.equal((await open(forward.port)).greeting, 'alive')
})

test('without endpoints a connection is reset', async (t) => {
  const forward = await forwardTo(t)
  const socket = connect({ host: '127.0.0.1', port: forward.port })
  await assert.rejects(once(socket, 'data'), { code: 'ECONNRESET' })
})

test('whoever is connected stays so when the endpoint leaves', async (t) => {
  const old = await echo(t, 'old')
  const forward = await forwardTo(t, old)
  const { socket } = await open(forward.port)
  forward.setTargets([await echo(t, 'new')])
  assert.equal((await open(forward.port)).greeting, 'new')
  socket.write('still here')
  const [answer] = await once(socket, 'data')
  assert.equal(String(answer), 'still here')
})

test('after stopListening nobody new gets in', async (t) => {
  const forward = await forwardTo(t, await echo(t, 'a'))
  const { socket } = await open(forward.port)
  forward.stopListening()
  await assert.rejects(once(connect({ host: '127.0.0.1', port: forward.port }), 'connect'), { code: 'ECONNREFUSED' })
  assert.equal(socket.destroyed, false)
})
