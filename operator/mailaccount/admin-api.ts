/** The engine's admin API (server/admin/accounts.ts), called at a ready Pod over plain HTTP inside the cluster. */

import { z } from 'zod'
import type { Fence } from '../kube/fence.ts'

const DEADLINE_MS = 10_000
const MAX_ANSWER_BYTES = 65_536

export interface AccountBody {
  address: string
  aliases: string[]
  password?: string
  displayName?: string
  quotaBytes?: number
  disabled: boolean
}

const account = z.object({ account: z.object({ usedBytes: z.number(), quotaBytes: z.number().nullish() }) })
const problem = z.object({ reason: z.string().optional(), detail: z.string().optional(), title: z.string().optional() })

export type AccountAnswer =
  | { kind: 'ok'; usedBytes: number }
  | { kind: 'absent' }
  /** It will not get better by itself: an address that is taken, a field the engine refuses. */
  | { kind: 'refused'; reason: string; message: string }
  /** Not now: no connection, restarting, not yet aware of a new domain or token, or no answer within the deadline. */
  | { kind: 'unavailable'; message: string; timedOut?: true }

export interface AdminApi {
  put(body: AccountBody): Promise<AccountAnswer>
  get(address: string): Promise<AccountAnswer>
  remove(address: string): Promise<AccountAnswer>
}

/**
 * @param origin "http://10.0.0.7:8080"
 * @param fence asked before every call that changes something; what it throws is thrown on
 * @param deadlineMs for a call, from its connection to the last byte of the answer
 */
export function openAdminApi(origin: string, token: string, fence: Fence, deadlineMs = DEADLINE_MS): AdminApi {
  const call = async (method: string, address: string, body?: AccountBody): Promise<AccountAnswer> => {
    if (method !== 'GET') fence()
    try {
      const response = await fetch(`${origin}/admin/v1/accounts/${encodeURIComponent(address)}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(deadlineMs),
        redirect: 'error',
      })
      return answerOf(method, response.status, await bounded(response))
    } catch (error) {
      if (error instanceof DOMException && error.name === 'TimeoutError') {
        return { kind: 'unavailable', message: `no answer within ${deadlineMs / 1000} s`, timedOut: true }
      }
      const cause =
        error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error)
      return { kind: 'unavailable', message: cause }
    }
  }
  return {
    put: (body) => call('PUT', body.address, body),
    get: (address) => call('GET', address),
    remove: (address) => call('DELETE', address),
  }
}

function answerOf(method: string, status: number, text: string): AccountAnswer {
  const json = parsed(text)
  if (status === 204) return { kind: 'ok', usedBytes: 0 }
  if (status === 200 || status === 201) {
    const read = account.safeParse(json)
    if (read.success) return { kind: 'ok', usedBytes: read.data.account.usedBytes }
    return { kind: 'unavailable', message: `${method}: the engine’s answer is not understood` }
  }
  const said = problem.safeParse(json).data ?? {}
  const message = said.detail ?? said.title ?? `HTTP ${status}`
  // Without a reason a 404 of PUT means that the engine has no token yet, so no admin API.
  if (status === 404) return method === 'PUT' ? { kind: 'unavailable', message } : { kind: 'absent' }
  if (status === 409) return { kind: 'refused', reason: said.reason ?? 'AddressTaken', message }
  if (status === 422 && said.reason !== 'UnknownDomain') {
    return { kind: 'refused', reason: said.reason ?? 'InvalidSpec', message }
  }
  return { kind: 'unavailable', message: `HTTP ${status}: ${message}` }
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
