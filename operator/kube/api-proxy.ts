/**
 * For tests: plain HTTP on loopback in front of a Kubernetes API, with credentials of its own. Tells which requests a
 * process makes, and can cut it off from the API as a network does.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KubeConfig } from '@kubernetes/client-node'
import { request } from 'undici'
import { stringify } from 'yaml'
import { openConnection } from './connection.ts'

export interface ProxiedRequest {
  /** GET, PATCH, … */
  method: string
  /** With its query. */
  path: string
  /** Of the object as it was answered to a write; undefined for reads, refusals and while there is no answer. */
  resourceVersion?: string
}

export interface ApiProxy extends AsyncDisposable {
  /** YAML, without credentials. */
  kubeconfig: string
  /** In the order in which they came; those of a client that was cut off are not among them. */
  requests: ProxiedRequest[]
  /** From now on nothing comes through: running requests hang, new ones too. */
  cut(): void
  /** What hangs is dropped, what is new comes through. */
  heal(): void
}

/** @param kubeConfig the API, and who the process is for it */
export async function startApiProxy(kubeConfig: KubeConfig): Promise<ApiProxy> {
  const connection = openConnection(kubeConfig)
  const requests: ProxiedRequest[] = []
  let isCut = false

  async function pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming
    const noted: ProxiedRequest = { method, path }
    requests.push(noted)
    const { origin, basePath, dispatcher, headers } = await connection.target()
    const { host: _, connection: __, ...rest } = incoming.headers
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const answer = await request(`${origin}${basePath}${path}`, {
      dispatcher,
      method: method as 'GET',
      headers: { ...rest, ...headers } as Record<string, string>,
      body: method === 'GET' ? null : incoming,
      signal: gone.signal,
      headersTimeout: 0,
      bodyTimeout: 0, // watches
    })
    if (method !== 'GET') {
      const text = await answer.body.text()
      noted.resourceVersion = /"resourceVersion":"(\d+)"/.exec(text)?.[1] ?? ''
      if (isCut) return
      const { 'transfer-encoding': ___, 'content-length': ____, ...answered } = answer.headers
      response.writeHead(answer.statusCode, answered).end(text)
      return
    }
    response.writeHead(answer.statusCode, answer.headers)
    response.flushHeaders() // the first event of a watch may be long in coming
    for await (const chunk of answer.body) {
      if (isCut) return
      response.write(chunk)
    }
    response.end()
  }

  const server = createServer((incoming, response) => {
    if (isCut) return
    pass(incoming, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    kubeconfig: kubeconfigOf(url),
    requests,
    cut() {
      isCut = true
    },
    heal() {
      isCut = false
      server.closeAllConnections()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await connection[Symbol.asyncDispose]()
    },
  }
}

function kubeconfigOf(server: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'proxy', cluster: { server } }],
    users: [{ name: 'proxy', user: {} }],
    contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
    'current-context': 'proxy',
  })
}
