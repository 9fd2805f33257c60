/**
 * The conformance tests' plain HTTPS client. Without KUBECONFIG_UNDER_TEST it starts the local API; with it, the same
 * tests run against that cluster.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { JsonObject, KubeObject } from '../json.ts'
import { startApiServer } from '../server.ts'

export type Answer = { status: number; headers: IncomingMessage['headers']; body: JsonObject; text: string }
export type RequestOptions = { body?: unknown; type?: string; accept?: string; token?: string }
export type WatchEvent = { type: string; object: KubeObject }

type Kubeconfig = {
  clusters: { cluster: { server: string; 'certificate-authority-data'?: string; 'certificate-authority'?: string } }[]
  users: {
    user: {
      token?: string
      'client-certificate-data'?: string
      'client-key-data'?: string
      'client-certificate'?: string
      'client-key'?: string
    }
  }[]
}

const decoded = (data: string | undefined, path: string | undefined): string | undefined =>
  data ? Buffer.from(data, 'base64').toString() : path ? readFileSync(path, 'utf8') : undefined

export class Client {
  readonly url: string
  #agent: Agent
  #token: string | undefined
  #cluster: Kubeconfig['clusters'][number]['cluster'] | undefined

  constructor(kubeconfig: string) {
    const { clusters, users }: Kubeconfig = parse(kubeconfig)
    const cluster = clusters[0]?.cluster
    const user = users[0]?.user
    this.#cluster = cluster
    this.url = cluster?.server ?? ''
    this.#token = user?.token
    const ca = decoded(cluster?.['certificate-authority-data'], cluster?.['certificate-authority'])
    const cert = decoded(user?.['client-certificate-data'], user?.['client-certificate'])
    const key = decoded(user?.['client-key-data'], user?.['client-key'])
    this.#agent = new Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
  }

  /** The same server without this client's credentials. */
  anonymous(): Client {
    return new Client(stringify({ clusters: [{ cluster: this.#cluster }], users: [{ user: {} }] }))
  }

  close(): void {
    this.#agent.destroy()
  }

  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const response = await this.#open(method, path, options)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const json = text.startsWith('{')
    return { status: response.statusCode ?? 0, headers: response.headers, body: json ? JSON.parse(text) : {}, text }
  }

  /** The events of a watch, until the server ends it or the consumer stops. */
  async *watch(path: string, accept?: string): AsyncGenerator<WatchEvent> {
    const response = await this.#open('GET', path, accept ? { accept } : {})
    let rest = ''
    try {
      for await (const chunk of response) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) yield JSON.parse(line)
      }
    } finally {
      response.destroy()
    }
  }

  #open(
    method: string,
    path: string,
    { body, type = 'application/json', accept = 'application/json', token }: RequestOptions,
  ): Promise<IncomingMessage> {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const bearer = token ?? this.#token
    const headers: Record<string, string | number> = {
      Accept: accept,
      'User-Agent': 'conformance/1',
      ...(text !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }),
      ...(bearer && { Authorization: `Bearer ${bearer}` }),
    }
    return new Promise((resolve, reject) => {
      const request = httpsRequest(`${this.url}${path}`, { method, headers, agent: this.#agent }, resolve)
      request.on('error', reject)
      request.end(text)
    })
  }
}

/** A client of the API under test, and a namespace of this test file's own; both end with the file. */
export async function connect(): Promise<{
  api: Client
  namespace: string
  local: boolean
  deleteAfterwards: (path: string) => void
}> {
  const path = process.env.KUBECONFIG_UNDER_TEST
  const server = path ? undefined : await startApiServer({})
  const api = new Client(path ? readFileSync(path, 'utf8') : (server?.kubeconfig ?? ''))
  const namespace = `conformance-${randomBytes(4).toString('hex')}`
  await api.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } })
  const made: string[] = []
  after(async () => {
    for (const path of made) await api.request('DELETE', path)
    await api.request('DELETE', `/api/v1/namespaces/${namespace}`)
    api.close()
    await server?.close()
  })
  return { api, namespace, local: server !== undefined, deleteAfterwards: (path) => made.push(path) }
}

/** Asks again until the answer is right; a controller may need a moment. Fails after a minute. */
export async function eventually<T>(ask: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await ask()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`never came: ${what}`)
    await sleep(25)
  }
}

/** The object of an answer. */
export function objectOf({ body }: Answer): KubeObject {
  return body as KubeObject
}
