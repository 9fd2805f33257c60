/** Who makes a JMAP request: HTTP Basic (RFC 7617) with the account's login and password. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Account, Accounts } from '../../accounts/accounts.ts'
import { HttpError } from '../../http/errors.ts'
import type { RequestContext } from '../../http/types.ts'
import type { JmapMetrics } from '../metrics.ts'

/** Failed logins per client address, shared by all replicas and protocols. */
export interface LoginThrottle {
  /** @throws Unavailable */
  allowed(address: string): Promise<boolean>
  /** @throws Unavailable */
  failed(address: string): Promise<void>
}

export interface AuthDeps {
  accounts: Accounts
  throttle: LoginThrottle
  metrics: JmapMetrics
  /** What a failure costs the client in time. */
  failureDelayMs?: number
}

const FAILURE_DELAY_MS = 1_000
const RETRY_AFTER_SECONDS = '600'

/** @throws HttpError 401, or 429 after too many failures; Unavailable */
export async function authenticate({ request, remoteAddress }: RequestContext, deps: AuthDeps): Promise<Account> {
  const credentials = basicCredentials(request.headers.authorization)
  if (!credentials) throw unauthorized('log in with your address and password')
  if (!(await deps.throttle.allowed(remoteAddress))) {
    throw new HttpError(429, 'too many failed logins from your address', {
      headers: { 'Retry-After': RETRY_AFTER_SECONDS },
    })
  }
  const account = await deps.accounts.authenticate(credentials.login, credentials.password)
  if (account && !account.disabled) return account
  deps.metrics.loginFailures.inc()
  await deps.throttle.failed(remoteAddress)
  await delay(deps.failureDelayMs ?? FAILURE_DELAY_MS)
  throw unauthorized('wrong login or password')
}

function unauthorized(detail: string): HttpError {
  return new HttpError(401, detail, { headers: { 'WWW-Authenticate': 'Basic realm="mail", charset="UTF-8"' } })
}

function basicCredentials(authorization: string | undefined): { login: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]{1,4096})$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { login: text.slice(0, colon), password: text.slice(colon + 1) }
}
