/** /healthz, /readyz and /metrics: what the kubelet and Prometheus ask. */
import { sendJson, sendText } from '../http/answers.ts'
import { HttpError, methodNotAllowed } from '../http/errors.ts'
import type { NamedRoute } from '../http/server.ts'
import type { Route } from '../http/types.ts'
import type { Readiness } from './readiness.ts'

export interface HealthOptions {
  readiness: Readiness
  /** Prometheus text of the whole pod. */
  metrics: () => Promise<string>
  contentType: string
}

/** Liveness says only that the event loop turns: a restart cures nothing that readiness reports. */
export function healthRoutes({ readiness, metrics, contentType }: HealthOptions): NamedRoute[] {
  return [
    {
      name: 'healthz',
      inside: true,
      handle: get('/healthz', async ({ response }) => sendJson(response, 200, { alive: true })),
    },
    {
      name: 'readyz',
      inside: true,
      handle: get('/readyz', async ({ response }) => {
        const report = await readiness.report()
        sendJson(response, report.ready ? 200 : 503, report)
      }),
    },
    {
      name: 'metrics',
      inside: true,
      handle: get('/metrics', async ({ response }) => sendText(response, 200, await metrics(), contentType)),
    },
  ]
}

function get(path: string, answer: (context: Parameters<Route>[0]) => Promise<void>): Route {
  return async (context) => {
    if (context.url.pathname !== path) return false
    if (context.request.method !== 'GET' && context.request.method !== 'HEAD') throw methodNotAllowed(['GET', 'HEAD'])
    await answer(context)
    return true
  }
}

/** Answers for parts that have not started: 503, where they will be. @param started true once they answer themselves */
export function startingRoute(started: () => boolean): NamedRoute {
  return {
    name: 'starting',
    async handle({ url }) {
      if (started() || !/^\/(?:jmap|admin|\.well-known|mail|autodiscover)(?:\/|$)/i.test(url.pathname)) return false
      throw new HttpError(503, 'starting', { headers: { 'Retry-After': '5' } })
    },
  }
}
