/** The Request object (RFC 8620 §3.3): checked before any method runs. */
import { HttpError } from '../../http/errors.ts'
import type { Invocation } from './result-references.ts'

export interface JmapRequest {
  using: string[]
  methodCalls: Invocation[]
  /** undefined when the client did not ask for it back. */
  createdIds: Record<string, string> | undefined
}

/** Deeper JSON is nobody's request. */
const MAX_DEPTH = 64

/** @throws HttpError with the RFC's problem types (§3.6.1): notJSON, notRequest, limit, unknownCapability */
export function parseRequest(
  body: Buffer,
  { capabilities, maxCallsInRequest }: { capabilities: ReadonlySet<string>; maxCallsInRequest: number },
): JmapRequest {
  const value = parseJson(body)
  if (!isObject(value)) throw requestError('notRequest', 'the request is not an object')
  const { using, methodCalls, createdIds } = value
  if (!isStrings(using)) throw requestError('notRequest', 'using: must be an array of strings')
  if (!Array.isArray(methodCalls) || methodCalls.length === 0 || !methodCalls.every(isInvocation)) {
    throw requestError('notRequest', 'methodCalls: must be an array of [name, arguments, method call id]')
  }
  if (createdIds !== undefined && !(isObject(createdIds) && isStrings(Object.values(createdIds)))) {
    throw requestError('notRequest', 'createdIds: must be a map from creation id to id')
  }
  const unknown = using.filter((capability) => !capabilities.has(capability))
  if (unknown.length > 0) throw requestError('unknownCapability', `not supported: ${unknown.join(', ').slice(0, 500)}`)
  if (methodCalls.length > maxCallsInRequest) {
    throw requestError('limit', `at most ${maxCallsInRequest} method calls`, { limit: 'maxCallsInRequest' })
  }
  return { using, methodCalls, createdIds: createdIds as Record<string, string> | undefined }
}

/** A request-level error (RFC 8620 §3.6.1). */
export function requestError(
  type: 'notJSON' | 'notRequest' | 'limit' | 'unknownCapability',
  detail: string,
  more: Record<string, unknown> = {},
): HttpError {
  return new HttpError(400, detail, { problem: { type: `urn:ietf:params:jmap:error:${type}`, ...more } })
}

function parseJson(body: Buffer): unknown {
  try {
    if (nestsDeeper(body, MAX_DEPTH)) throw new Error('too deep')
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw requestError('notJSON', 'the request is not I-JSON (RFC 7493)')
  }
}

const [QUOTE, BACKSLASH, OPENING, CLOSING] = [0x22, 0x5c, [0x5b, 0x7b], [0x5d, 0x7d]]

/** Looks before anything is built: ten megabytes of brackets would become hundreds of megabytes of arrays. */
function nestsDeeper(json: Buffer, depth: number): boolean {
  let open = 0
  let inString = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (inString) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (OPENING.includes(byte)) {
      if (++open > depth) return true
    } else if (CLOSING.includes(byte)) open--
  }
  return false
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
const isInvocation = (value: unknown): value is Invocation =>
  Array.isArray(value) &&
  value.length === 3 &&
  typeof value[0] === 'string' &&
  isObject(value[1]) &&
  typeof value[2] === 'string'
