/** The local Kubernetes API: one process, one port, the whole of it behind HTTPS and a bearer token. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { stringify } from 'yaml'
import { type CertificatePair, issueCertificate, makeAuthority } from '../../certificates/authority.ts'
import { registerBuiltIns } from './builtin/kinds.ts'
import type { Server } from './call.ts'
import { CRD_BUCKET, registerCustomResource } from './crd/register.ts'
import * as discovery from './discovery.ts'
import { GarbageCollector } from './gc.ts'
import { parseMediaType, send, sendText } from './http.ts'
import { at, type JsonObject, type KubeObject } from './json.ts'
import { Continuations } from './list-requests.ts'
import { Objects } from './objects.ts'
import { OpenApi } from './openapi.ts'
import { Registry } from './registry.ts'
import { parseAddress, serveResource } from './resource-requests.ts'
import { ApiError, internal, notAcceptable, unauthorized } from './status-errors.ts'
import { Storage } from './storage.ts'

const AUTHORITY_NAME = 'local-kubernetes-ca'
const FIRST_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export interface ApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:PORT` */
  url: string
  /** YAML; its user may do everything. */
  kubeconfig: string
  close(): Promise<void>
}

export type ApiServerOptions = {
  /** Where state is kept; undefined keeps it in memory. */
  dir?: string
  /** 127.0.0.1 unless said otherwise. */
  host?: string
  /** 0 takes a free one. */
  port?: number
  logger?: Logger
  now?: () => Date
}

/**
 * Starts the API on loopback. State is kept in `dir` (created; survives a restart, writes are atomic) or in memory when
 * `dir` is undefined. Credentials are kept there too, so that a kubeconfig outlives a restart on the same port.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dir, host = '127.0.0.1', port = 0, logger, now = () => new Date() } = options
  const identity = await loadIdentity(dir, now())
  const storage = new Storage(dir)
  const registry = new Registry()
  registerBuiltIns(registry, storage)
  for (const crd of storage.list(CRD_BUCKET)) registerCustomResource(registry, crd)
  storage.subscribe(({ bucket, object, deleted }) => {
    if (bucket === CRD_BUCKET) followCustomResource(registry, object, deleted)
  })
  const objects = new Objects(storage, now)
  createFirstNamespaces(objects, registry)
  const collector = new GarbageCollector({ storage, objects, registry, now })
  const closing = new AbortController()
  const server: Server = { objects, registry, now, closing: closing.signal, continues: new Continuations() }
  const openApi = new OpenApi(registry)
  const names = [...new Set([host, '127.0.0.1', 'localhost', '::1'])]
  const certificate = await issueCertificate(identity.authority, names, now())
  const https = createServer({ cert: certificate.certificate, key: certificate.privateKey, maxHeaderSize: 64 * 1024 })
  https.on('request', (request, response) => {
    handle(server, openApi, identity.token, request, response).catch((error) => fail(error, request, response, logger))
  })
  https.on('tlsClientError', () => {})
  await new Promise<void>((resolve, reject) => {
    https.once('error', reject)
    https.listen(port, host, resolve)
  })
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${(https.address() as AddressInfo).port}`
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= new Promise((resolve) => {
      closing.abort()
      https.close(() => {
        collector.close()
        storage.close()
        resolve()
      })
      https.closeIdleConnections()
      setTimeout(() => https.closeAllConnections(), 500).unref()
    })
    return closed
  }
  return { url, kubeconfig: kubeconfigOf(url, identity), close, [Symbol.asyncDispose]: close }
}

function followCustomResource(registry: Registry, crd: KubeObject, deleted: boolean): void {
  if (deleted) registry.remove(String(at(crd, 'spec', 'group')), String(at(crd, 'spec', 'names', 'plural')))
  else registerCustomResource(registry, crd)
}

function createFirstNamespaces(objects: Objects, registry: Registry): void {
  const definition = registry.find('', 'v1', 'namespaces')
  const options = { dryRun: false, fieldManager: 'kube-apiserver', fieldValidation: 'Ignore' as const, warnings: [] }
  for (const name of definition ? FIRST_NAMESPACES : []) {
    if (definition && !objects.storage.get('namespaces', name))
      objects.create(definition, '', { metadata: { name } }, options)
  }
}

type Identity = { authority: CertificatePair; token: string }

async function loadIdentity(dir: string | undefined, now: Date): Promise<Identity> {
  const path = dir === undefined ? undefined : join(dir, 'identity.json')
  if (path && existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Identity
  const identity = { authority: await makeAuthority(AUTHORITY_NAME, now), token: randomBytes(32).toString('base64url') }
  if (dir !== undefined && path) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.new`, JSON.stringify(identity), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  return identity
}

function kubeconfigOf(url: string, { authority, token }: Identity): string {
  const name = 'local'
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority.certificate).toString('base64') },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}

function authorized(request: IncomingMessage, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${token}`))
}

async function handle(
  server: Server,
  openApi: OpenApi,
  token: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!authorized(request, token)) throw unauthorized()
  const url = new URL(request.url ?? '/', 'https://local')
  const path = url.pathname.replace(/(.)\/$/, '$1')
  if (request.method === 'GET' && serveGeneral(server, openApi, path, request, response)) return
  const address = safeAddress(path)
  const served = registryServes(server.registry, address)
  if (!address || !served) {
    sendText(response, 404, '404 page not found\n')
    return
  }
  await serveResource(server, request, response, address, url.searchParams)
}

function registryServes(registry: Registry, address: ReturnType<typeof safeAddress>): boolean {
  return registry.all().some(({ group, version }) => group === address?.group && version === address.version)
}

function safeAddress(path: string) {
  try {
    return parseAddress(path)
  } catch {
    return undefined // a malformed percent escape
  }
}

/** All that is no object: health, version, discovery, OpenAPI. @returns whether it was one of these */
function serveGeneral(
  { registry }: Server,
  openApi: OpenApi,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (/^\/(healthz|livez|readyz)(\/|$)/.test(path)) sendText(response, 200, 'ok')
  else if (path === '/version') send(response, 200, discovery.VERSION)
  else if (path === '/api' || path === '/apis') serveGroups(registry, path === '/api', request, response)
  else if (path === '/openapi/v3') send(response, 200, openApi.index())
  else if (path.startsWith('/openapi/v3/'))
    return serveDocument(openApi.document(path.slice('/openapi/v3/'.length)), response)
  else if (path === '/openapi/v2') serveV2(openApi, request, response)
  else return serveDiscovery(registry, path, response)
  return true
}

function serveGroups(registry: Registry, core: boolean, request: IncomingMessage, response: ServerResponse): void {
  const wishes = (request.headers.accept ?? '').split(',').map(parseMediaType)
  const aggregated = wishes.some(
    ({ type, parameters }) =>
      type === 'application/json' && parameters.g === 'apidiscovery.k8s.io' && parameters.v === 'v2',
  )
  if (aggregated) {
    const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    send(response, 200, discovery.aggregated(registry, core), { 'Content-Type': type, Vary: 'Accept' })
  } else send(response, 200, core ? discovery.apiVersions(request.headers.host ?? '') : discovery.groupList(registry))
}

function serveDocument(text: string | undefined, response: ServerResponse): boolean {
  if (text === undefined) return false
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Cache-Control': 'public, max-age=31536000, immutable',
  })
  response.end(text)
  return true
}

function serveV2(openApi: OpenApi, request: IncomingMessage, response: ServerResponse): void {
  const wishes = (request.headers.accept ?? 'application/json').split(',').map((wish) => parseMediaType(wish).type)
  if (!wishes.some((type) => type === 'application/json' || type === '*/*')) throw notAcceptable()
  send(response, 200, openApi.v2())
}

function serveDiscovery(registry: Registry, path: string, response: ServerResponse): boolean {
  const [root, first = '', second, ...more] = path.split('/').slice(1)
  let found: JsonObject | undefined
  if (root === 'api' && second === undefined) found = discovery.resourceList(registry, '', first)
  if (root === 'apis' && second === undefined) found = discovery.group(registry, first)
  if (root === 'apis' && second !== undefined && more.length === 0)
    found = discovery.resourceList(registry, first, second)
  if (found) send(response, 200, found)
  return found !== undefined
}

function fail(error: unknown, request: IncomingMessage, response: ServerResponse, logger: Logger | undefined): void {
  const known = error instanceof ApiError ? error : internal()
  if (!(error instanceof ApiError))
    logger?.error({ err: error, method: request.method, path: request.url?.split('?')[0] }, 'request failed')
  if (response.headersSent) {
    response.destroy()
    return
  }
  // What the client still sends is not read; the connection ends with the answer.
  const rest: Record<string, string> = request.complete ? {} : { Connection: 'close' }
  send(response, known.code, known.status, { ...known.headers, ...rest })
}
