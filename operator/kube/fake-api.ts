/** For tests: an HTTP or HTTPS server that plays the Kubernetes API as a test scripts it, faults included. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'

export interface FakeRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: string
}
export type Handler = (request: FakeRequest, response: ServerResponse) => void

export interface FakeApi extends AsyncDisposable {
  readonly origin: string
  readonly requests: FakeRequest[]
  /** TCP connections accepted so far. */
  readonly connections: () => number
  /** Ends every connection at once, as a restarting API server does. */
  cut(): void
  kubeConfig(user?: Record<string, unknown>, cluster?: Record<string, unknown>): KubeConfig
}

export async function startFakeApi(handler: Handler, tls?: { key: string; cert: string }): Promise<FakeApi> {
  const requests: FakeRequest[] = []
  const sockets = new Set<Socket>()
  let accepted = 0
  const listener = async (incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const url = new URL(incoming.url ?? '/', 'http://fake')
    const request: FakeRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
    }
    requests.push(request)
    handler(request, response)
  }
  const server = tls ? createSecureServer(tls, listener) : createServer(listener)
  server.on('connection', (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    origin,
    requests,
    connections: () => accepted,
    cut,
    kubeConfig(user = {}, cluster = {}) {
      const config = new KubeConfig()
      config.loadFromOptions({
        clusters: [{ name: 'fake', server: origin, ...cluster }],
        users: [{ name: 'tester', ...user }],
        contexts: [{ name: 'fake', cluster: 'fake', user: 'tester' }],
        currentContext: 'fake',
      })
      return config
    },
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function answer(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

export function statusOf(code: number, reason: string, message: string, details?: unknown): Record<string, unknown> {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details }
}
