/** /healthz, /readyz and /metrics on a port of their own, for the kubelet and Prometheus. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

/** Answers undefined when all is well, else why not, in a few words. */
export type HealthCheck = () => string | undefined

export interface HealthServerOptions {
  port: number
  host?: string
  /** Alive: the loops turn. A failing check makes the kubelet restart us. */
  healthz: Record<string, HealthCheck>
  /** Ready: caches are filled. Not a question of leadership. */
  readyz: Record<string, HealthCheck>
  registry: Registry
}

export interface HealthServer extends AsyncDisposable {
  readonly port: number
}

/** @throws Error (EADDRINUSE, EACCES) when the port cannot be had. */
export async function listenHealth(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => {
      const path = request.url?.split('?')[0]
      const answer = (status: number, type: string, body: string) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
        response.end(request.method === 'HEAD' ? undefined : body)
      }
      const check = (checks: Record<string, HealthCheck>) => {
        const results = Object.entries(checks).map(([name, run]) => ({ name, trouble: run() }))
        const body = results
          .map(({ name, trouble }) => (trouble ? `[-]${name}: ${trouble}\n` : `[+]${name} ok\n`))
          .join('')
        answer(results.some(({ trouble }) => trouble) ? 503 : 200, 'text/plain; charset=utf-8', body || 'ok\n')
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'text/plain', 'only GET\n')
      if (path === '/healthz') return check(options.healthz)
      if (path === '/readyz') return check(options.readyz)
      if (path !== '/metrics') return answer(404, 'text/plain', 'not found\n')
      options.registry.metrics().then(
        (text) => answer(200, options.registry.contentType, text),
        () => answer(500, 'text/plain', 'metrics could not be collected\n'),
      )
    },
  )
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
