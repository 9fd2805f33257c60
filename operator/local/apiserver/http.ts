/** HTTP as the API speaks it: bounded bodies, content types in and out, JSON answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse as parseYaml, stringify as stringifyYaml } from 'yaml'
import { isObject, type Json, type JsonObject } from './json.ts'
import { decodeProtobuf } from './protobuf.ts'
import { badRequest, notAcceptable, tooLarge, unsupportedMediaType } from './status-errors.ts'

/** The limit of the real API server. */
const MAX_BODY_BYTES = 3 * 1024 * 1024

export type MediaType = { type: string; parameters: { [name: string]: string } }

export function parseMediaType(text: string): MediaType {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim())
  const pairs = parameters.map((parameter) => parameter.split('=').map((part) => part.trim()))
  return {
    type: type.toLowerCase(),
    parameters: Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value])),
  }
}

/** @throws ApiError 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const buffer: Buffer = chunk
    size += buffer.length
    if (size > MAX_BODY_BYTES) throw tooLarge(MAX_BODY_BYTES)
    chunks.push(buffer)
  }
  return Buffer.concat(chunks)
}

/** @throws ApiError 400 in the words of the real decoder's first half */
export function parseJson(text: string, kind: string): Json {
  const unrecognized = `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: `
  // No field of Kubernetes has this name, and a copy of it would set a prototype.
  if (text.includes('"__proto__"')) throw badRequest(`${unrecognized}field name not allowed: __proto__`)
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw badRequest(`${unrecognized}${error instanceof Error ? error.message : error}`)
  }
}

function parseYamlText(text: string, kind: string): Json {
  let value: unknown
  try {
    value = parseYaml(text, { maxAliasCount: 100 })
  } catch (error) {
    const problem = error instanceof Error ? error.message.split('\n')[0] : error
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): yaml: ${problem}`)
  }
  return parseJson(JSON.stringify(value ?? null), kind)
}

/** A create's or update's object. @throws ApiError 400, 415 */
export function decodeObject(body: Buffer, contentType: string | undefined, kind: string): JsonObject {
  const { type } = parseMediaType(contentType ?? 'application/json')
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body)
  if (type !== 'application/json' && type !== 'application/yaml') {
    throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'])
  }
  const text = body.toString('utf8')
  const value = type === 'application/yaml' ? parseYamlText(text, kind) : parseJson(text, kind)
  if (isObject(value)) return value
  const problem = 'json: cannot unmarshal into Go value of type struct { APIVersion string; Kind string }'
  throw badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${problem}`,
  )
}

/** An apply patch: YAML, of which JSON is a part. */
export function decodeYamlObject(text: string, kind: string): JsonObject {
  const value = parseYamlText(text, kind)
  if (!isObject(value))
    throw badRequest('error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}')
  return value
}

export type Answer = 'object' | 'table' | 'metadata' | 'yaml'

/** The first of the client's wishes that we can grant. @throws ApiError 406 */
export function negotiate(accept: string | undefined): Answer {
  if (!accept) return 'object'
  for (const wish of accept.split(',')) {
    const { type, parameters } = parseMediaType(wish)
    const json = type === 'application/json' || type === '*/*' || type === 'application/*'
    if (parameters.as === 'Table' && json) return 'table'
    if ((parameters.as === 'PartialObjectMetadata' || parameters.as === 'PartialObjectMetadataList') && json)
      return 'metadata'
    if (parameters.as) continue
    if (json) return 'object'
    if (type === 'application/yaml') return 'yaml'
  }
  throw notAcceptable()
}

export function send(
  response: ServerResponse,
  code: number,
  body: JsonObject,
  headers: Record<string, string | string[]> = {},
  yaml = false,
): void {
  const text = yaml ? stringifyYaml(body) : `${JSON.stringify(body)}\n`
  const type = yaml ? 'application/yaml' : 'application/json'
  response.writeHead(code, { 'Content-Type': type, 'Cache-Control': 'no-cache, private', ...headers })
  response.end(text)
}

export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-cache, private' })
  response.end(text)
}
