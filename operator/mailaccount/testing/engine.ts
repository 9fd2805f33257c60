/** For tests: plays the engine's admin API (server/admin/accounts.ts) on loopback, and announces it as a ready Pod would be. */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EndpointSlice } from '../../kube/resources.ts'
import type { KubeClient, ObjectKey } from '../../kube/types.ts'
import type { AccountBody } from '../admin-api.ts'

export interface EngineDouble extends AsyncDisposable {
  port: number
  /** What it knows, by address. */
  accounts: Map<string, AccountBody>
  /** "PUT alice@example.org", in order. */
  calls: string[]
  /** The Authorization headers it has seen. */
  tokens: Set<string>
  /** Answered to everything instead, while not 0. */
  status: number
  usedBytes: number
  /** As EndpointSlice of Service `<server>-http`. */
  announce(client: KubeClient, server: ObjectKey, ready: boolean): Promise<void>
}

export async function startEngineDouble(): Promise<EngineDouble> {
  const server = createServer(async (request, response) => {
    const address = decodeURIComponent(request.url?.split('/').at(-1) ?? '')
    engine.calls.push(`${request.method} ${address}`)
    engine.tokens.add(request.headers.authorization ?? '')
    const send = (status: number, body?: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body))
    if (engine.status) return send(engine.status, { detail: 'not now' })
    if (request.method === 'DELETE') return send(engine.accounts.delete(address) ? 204 : 404)
    if (request.method === 'PUT') {
      const body = JSON.parse(await textOf(request)) as AccountBody
      const taken = [...engine.accounts.values()].some(
        (other) =>
          other.address !== address &&
          body.aliases.some((alias) => other.address === alias || other.aliases.includes(alias)),
      )
      if (taken) return send(409, { reason: 'AddressTaken', detail: 'an alias belongs to another account' })
      engine.accounts.set(address, body)
    }
    const found = engine.accounts.get(address)
    return found
      ? send(200, { account: { address, usedBytes: engine.usedBytes, quotaBytes: found.quotaBytes ?? null } })
      : send(404, { detail: 'no such account' })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const engine: EngineDouble = {
    port,
    accounts: new Map(),
    calls: [],
    tokens: new Set(),
    status: 0,
    usedBytes: 5_000_000,
    async announce(client, { namespace, name }, ready) {
      const slice = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `${name}-http-1`,
          namespace,
          labels: { 'kubernetes.io/service-name': `${name}-http`, 'mail.openova.io/server': name },
        },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
        ports: [{ name: 'http', port, protocol: 'TCP' }],
      }
      await client.apply(EndpointSlice, slice, { fieldManager: 'test' })
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return engine
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
