/** Free TCP ports on 127.0.0.1. Free now: another program may still be quicker, so whoever uses one must cope. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** So many different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  try {
    const ports: number[] = []
    for (let index = 0; index < count; index++) {
      const server = createServer()
      servers.push(server)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('no free port')
      ports.push(address.port)
    }
    return ports
  } finally {
    await Promise.all(servers.map(closed))
  }
}

/** True when nobody listens there. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (free) await closed(server)
  return free
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
