/** DNS as mail needs it: the configured servers, a deadline per question, and "no such name" told from "no answer". */
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

/** Rejects with Node's DNS errors: see isNoSuchName, isNoSuchRecord. */
export type DnsResolver = Pick<Resolver, 'resolve' | 'resolve4' | 'resolve6' | 'resolveMx' | 'resolveTxt'>

/** c-ares asks each server so long, and so often. */
const TIMEOUT_MS = 2_000
const TRIES = 2

/**
 * @param servers "host" or "host:port", read at each question, so that a changed configuration holds for the next; empty
 *   is the system's resolvers
 */
export function createResolver(servers: () => string[]): DnsResolver {
  let current = { key: '', resolver: new Resolver({ timeout: TIMEOUT_MS, tries: TRIES }) }
  const resolver = async (): Promise<Resolver> => {
    const wanted = servers()
    const key = wanted.join()
    if (current.key === key) return current.resolver
    const next = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
    if (wanted.length > 0) next.setServers(await Promise.all(wanted.map(serverAddress)))
    current = { key, resolver: next }
    return next
  }
  return {
    resolve: async (...args: [string]) => (await resolver()).resolve(...args),
    resolve4: async (...args: [string]) => (await resolver()).resolve4(...args),
    resolve6: async (...args: [string]) => (await resolver()).resolve6(...args),
    resolveMx: async (name: string) => (await resolver()).resolveMx(name),
    resolveTxt: async (name: string) => (await resolver()).resolveTxt(name),
  } as DnsResolver
}

/** c-ares takes addresses only. @returns "192.0.2.1:53" or "[2001:db8::1]:53" */
async function serverAddress(server: string): Promise<string> {
  if (isIP(server) === 6) return `[${server}]:53`
  const [, host = server, port = '53'] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(server) ?? []
  const address = isIP(host) ? host : (await lookup(host)).address
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`
}

/** NXDOMAIN: nothing of that name exists. */
export const isNoSuchName = (error: unknown): boolean => codeOf(error) === 'ENOTFOUND'
/** The name exists, without records of that type. */
export const isNoSuchRecord = (error: unknown): boolean => codeOf(error) === 'ENODATA'

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
