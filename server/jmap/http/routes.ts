/** JMAP's HTTP resources: session, API, download, upload, event source (RFC 8620 §2, §3.1, §6, §7.3). */
import type { Logger } from 'pino'
import type { Account } from '../../accounts/accounts.ts'
import { sendJson } from '../../http/answers.ts'
import { readBody } from '../../http/body.ts'
import { HttpError, methodNotAllowed } from '../../http/errors.ts'
import type { NamedRoute } from '../../http/server.ts'
import type { RequestContext } from '../../http/types.ts'
import { CAPABILITIES } from '../capabilities.ts'
import { dispatch } from '../dispatch.ts'
import type { JmapDeps } from '../method.ts'
import { methods } from '../methods/table.ts'
import type { JmapMetrics } from '../metrics.ts'
import { sessionObject, sessionState } from '../session.ts'
import { parseRequest, requestError } from '../wire/request.ts'
import { authenticate, type LoginThrottle } from './auth.ts'
import { baseUrl } from './base-url.ts'
import { createConcurrencyLimit } from './concurrency.ts'
import { download } from './download.ts'
import { createEventStreams } from './event-source.ts'
import { upload } from './upload.ts'

export interface JmapOptions {
  deps: JmapDeps
  throttle: LoginThrottle
  metrics: JmapMetrics
  log: Logger
  /** Tests only. */
  failureDelayMs?: number
}

export interface Jmap {
  routes: NamedRoute[]
  /** Ends event streams and answers 503 from now on. */
  drain(): void
}

type Resource = (context: RequestContext, path: string[], account: Account) => Promise<void>

/** Web clients come from other origins; they bring a password, not a cookie, so that any may (RFC 8620 §8 is met by TLS). */
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, OPTIONS',
  'Access-Control-Allow-Headers': 'Authorization, Content-Type, Last-Event-ID',
  'Access-Control-Max-Age': '86400',
}

export function createJmap({ deps, throttle, metrics, log, ...options }: JmapOptions): Jmap {
  const { config } = deps
  const requests = createConcurrencyLimit(() => config.limits.jmapConcurrentRequests)
  const uploads = createConcurrencyLimit(() => config.limits.jmapConcurrentRequests)
  const streams = createEventStreams({ mailstore: deps.mailstore, metrics })
  let draining = false

  const resources: Record<string, { name: string; methods: string[]; answer: Resource }> = {
    session: {
      name: 'jmap-session',
      methods: ['GET', 'HEAD'],
      async answer(context, _path, account) {
        sendJson(context.response, 200, sessionObject(account, config, baseUrl(context, config)))
      },
    },
    api: {
      name: 'jmap-api',
      methods: ['POST'],
      answer: (context, _path, account) =>
        limited(requests, 'maxConcurrentRequests', account, () => api(context, account)),
    },
    download: {
      name: 'jmap-download',
      methods: ['GET', 'HEAD'],
      answer: (context, path, account) => download(context, path, account, deps),
    },
    upload: {
      name: 'jmap-upload',
      methods: ['POST'],
      answer: (context, path, account) =>
        limited(uploads, 'maxConcurrentUpload', account, () => upload(context, path, account, deps)),
    },
    eventsource: {
      name: 'jmap-eventsource',
      methods: ['GET'],
      answer: (context, _path, account) => streams.open(context, account),
    },
  }

  async function api({ request, response, remoteAddress }: RequestContext, account: Account): Promise<void> {
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      throw requestError('notJSON', 'Content-Type must be application/json')
    }
    const body = await readBody(request, config.limits.jmapRequestBytes).catch((error: unknown) => {
      if (!(error instanceof HttpError) || error.status !== 413) throw error
      throw requestError('limit', error.message, { limit: 'maxSizeRequest' })
    })
    const parsed = parseRequest(body, {
      capabilities: CAPABILITIES,
      maxCallsInRequest: config.limits.jmapCallsPerRequest,
    })
    const caller = { account, remoteAddress, sessionState: sessionState(account, config) }
    sendJson(response, 200, await dispatch(parsed, caller, { methods, deps, metrics, log }))
  }

  const routes = Object.entries(resources).map(
    ([key, { name, methods: allowed, answer }]): NamedRoute => ({
      name,
      async handle(context) {
        const path = pathBelow(context.url.pathname, key)
        if (!path) return false
        const { request, response } = context
        for (const [header, value] of Object.entries(CORS)) response.setHeader(header, value)
        if (request.method === 'OPTIONS') {
          response.writeHead(204, { Allow: allowed.join(', ') }).end()
          return true
        }
        if (!allowed.includes(request.method ?? '')) throw methodNotAllowed(allowed)
        if (draining)
          throw new HttpError(503, 'shutting down', { headers: { 'Retry-After': '1', Connection: 'close' } })
        await answer(
          context,
          path,
          await authenticate(context, { accounts: deps.accounts, throttle, metrics, ...options }),
        )
        return true
      },
    }),
  )
  return {
    routes,
    drain() {
      draining = true
      streams.close()
    },
  }
}

/** The decoded components after /jmap/{resource}, or undefined when the path is another. */
function pathBelow(pathname: string, resource: string): string[] | undefined {
  if (pathname === '/.well-known/jmap') return resource === 'session' ? [] : undefined
  const prefix = `/jmap/${resource}`
  if (pathname !== prefix && !pathname.startsWith(`${prefix}/`)) return undefined
  try {
    const components = pathname
      .slice(prefix.length + 1)
      .split('/')
      .map(decodeURIComponent)
    return components.at(-1) === '' ? components.slice(0, -1) : components
  } catch {
    throw new HttpError(400, 'the path is not percent-encoded UTF-8')
  }
}

async function limited(
  limit: ReturnType<typeof createConcurrencyLimit>,
  name: string,
  account: Account,
  work: () => Promise<void>,
): Promise<void> {
  const leave = limit.enter(account.id)
  if (!leave) throw requestError('limit', `too many at a time: ${name}`, { limit: name })
  try {
    await work()
  } finally {
    leave()
  }
}
