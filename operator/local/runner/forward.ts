/**
 * A TCP forward on 127.0.0.1, in the place of a Service's address: each connection goes to the Ready endpoint with the
 * fewest connections. Whoever is connected stays connected until one of both ends it, also when the endpoint has left.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Held at once by one forward; beyond, the kernel's queue and then the client wait. */
const MAX_CONNECTIONS = 10_000
const CONNECT_TIMEOUT_MS = 3_000

export interface Forward {
  readonly port: number
  /** Ports on 127.0.0.1 that new connections may go to. */
  setTargets(ports: readonly number[]): void
  /** Takes no new connections. */
  stopListening(): void
  /** Cuts what is left. */
  close(): Promise<void>
}

/**
 * @param port 0 for a free one
 * @throws Error EADDRINUSE
 */
export async function openForward(port: number): Promise<Forward> {
  const connections = new Map<number, number>()
  const sockets = new Set<Socket>()
  let targets: readonly number[] = []
  let turn = 0

  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    sockets.add(client)
    client.once('close', () => sockets.delete(client))
    client.on('error', () => client.destroy())
    void forward(client)
  })
  server.maxConnections = MAX_CONNECTIONS
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a forward without a port')

  async function forward(client: Socket): Promise<void> {
    const tried = new Set<number>()
    for (;;) {
      const target = choose(tried)
      // As kube-proxy without endpoints: the connection is refused.
      if (target === undefined) return void client.resetAndDestroy()
      tried.add(target)
      connections.set(target, (connections.get(target) ?? 0) + 1)
      const upstream = await dial(target)
      if (!upstream || client.destroyed) {
        upstream?.destroy()
        release(target)
        if (client.destroyed) return
        continue
      }
      upstream.once('close', () => release(target))
      join(client, upstream)
      return
    }
  }

  function choose(tried: ReadonlySet<number>): number | undefined {
    const open = targets.filter((target) => !tried.has(target))
    const load = (target: number): number => connections.get(target) ?? 0
    const least = Math.min(...open.map(load))
    const best = open.filter((target) => load(target) === least)
    return best[turn++ % best.length]
  }

  function release(target: number): void {
    const left = (connections.get(target) ?? 1) - 1
    if (left > 0) connections.set(target, left)
    else connections.delete(target)
  }

  const closed = once(server, 'close')
  return {
    port: address.port,
    setTargets(ports) {
      targets = [...ports]
    },
    stopListening() {
      if (server.listening) server.close()
    },
    async close() {
      if (server.listening) server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function dial(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    const give = (result: Socket | undefined): void => {
      socket.removeAllListeners()
      socket.setTimeout(0)
      if (!result) socket.destroy()
      socket.on('error', () => socket.destroy())
      resolve(result)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => give(undefined))
    socket.once('connect', () => give(socket))
    socket.once('error', () => give(undefined))
  })
}

/** Bytes both ways; the end of one direction is passed on and leaves the other open (IMAP and SMTP clients do that). */
function join(client: Socket, upstream: Socket): void {
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.pipe(to) // pipe() also ends `to` when `from` ends
    from.once('close', () => {
      // Closed without an end: a reset, which the other side should notice as one.
      if (!from.readableEnded) to.destroy()
    })
  }
}
