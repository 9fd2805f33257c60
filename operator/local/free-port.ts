/** Free TCP ports on 127.0.0.1. Free now: another program may still be quicker, so whoever uses one must cope. */
import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/**
 * Below the range that outgoing connections get their ports from (32768 and up on Linux): a port from in there may be taken
 * by a connection to the database between choosing and listening, and then for as long as that lasts.
 */
const LOWEST = 12_000
const HIGHEST = 31_999
const ATTEMPTS = 1000

/** So many different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let attempt = 0; ports.size < count; attempt++) {
    if (attempt === ATTEMPTS) throw new Error(`no free port from ${LOWEST} to ${HIGHEST}`)
    const port = randomInt(LOWEST, HIGHEST + 1)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
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
