/** Runs the calls of one request in order (RFC 8620 §3.3 to §3.7). */
import type { Logger } from 'pino'
import type { Account } from '../accounts/accounts.ts'
import { Unavailable } from '../db/database.ts'
import type { AnyMethod, JmapDeps } from './method.ts'
import type { JmapMetrics } from './metrics.ts'
import { MethodError } from './wire/errors.ts'
import type { JmapRequest } from './wire/request.ts'
import { type Invocation, resolveReferences } from './wire/result-references.ts'

export interface JmapResponse {
  methodResponses: Invocation[]
  createdIds?: Record<string, string>
  sessionState: string
}

export interface DispatchOptions {
  methods: ReadonlyMap<string, AnyMethod>
  deps: JmapDeps
  metrics: JmapMetrics
  log: Logger
}

/** Never throws for what a call does: its error is its response. */
export async function dispatch(
  request: JmapRequest,
  caller: { account: Account; remoteAddress: string; sessionState: string },
  { methods, deps, metrics, log }: DispatchOptions,
): Promise<JmapResponse> {
  const using = new Set(request.using)
  const createdIds = new Map(Object.entries(request.createdIds ?? {}))
  const responses: Invocation[] = []
  const queue = [...request.methodCalls]
  for (let call = queue.shift(); call; call = queue.shift()) {
    const [name, args, callId] = call
    const followers: Invocation[] = []
    const context = {
      account: caller.account,
      remoteAddress: caller.remoteAddress,
      createdIds,
      follow: (follower: string, followerArgs: Record<string, unknown>) =>
        followers.push([follower, followerArgs, callId]),
    }
    const method = methods.get(name)
    const startedAt = performance.now()
    try {
      if (!method || !using.has(method.capability)) throw new MethodError('unknownMethod')
      const response = await method.call(resolveReferences(args, responses), context, deps)
      responses.push([name, response as Record<string, unknown>, callId])
      metrics.calls.inc({ method: name, result: 'ok' })
      queue.unshift(...followers)
    } catch (error) {
      const { type, description } = describe(error)
      if (type === 'serverFail')
        log[error instanceof Unavailable ? 'warn' : 'error']({ err: error, method: name }, 'JMAP method failed')
      responses.push(['error', { type, ...(description ? { description } : {}) }, callId])
      metrics.calls.inc({ method: method ? name : 'unknown', result: type })
    } finally {
      metrics.duration.observe({ method: method ? name : 'unknown' }, (performance.now() - startedAt) / 1000)
    }
  }
  return {
    methodResponses: responses,
    ...(request.createdIds ? { createdIds: Object.fromEntries(createdIds) } : {}),
    sessionState: caller.sessionState,
  }
}

function describe(error: unknown): { type: string; description?: string } {
  if (error instanceof MethodError) {
    return { type: error.type, ...(error.message === error.type ? {} : { description: error.message }) }
  }
  if (error instanceof Unavailable)
    return { type: 'serverFail', description: 'the mail store is away for a moment; try again' }
  return { type: 'serverFail' }
}
