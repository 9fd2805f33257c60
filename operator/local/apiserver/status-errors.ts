/**
 * Refusals as Kubernetes words them: a Status object of kind Failure (meta/v1) with code, reason, message, details and
 * causes. Mirrors k8s.io/apimachinery/pkg/api/errors.
 */
import type { JsonObject } from './json.ts'

export type Cause = { reason: string; message: string; field: string }
export type ResourceName = { group: string; resource: string }

/** Ends a request with a Status. `headers` go out with it (Retry-After, Allow). */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: JsonObject
  readonly code: number
  readonly headers: Record<string, string>

  constructor(
    code: number,
    reason: string,
    message: string,
    details?: JsonObject,
    headers: Record<string, string> = {},
  ) {
    super(message)
    this.code = code
    this.headers = headers
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason && { reason }),
    }
    if (details) this.status.details = details
    this.status.code = code
  }
}

/** `deployments.apps`, or `pods` in the core group. */
export function qualified({ group, resource }: ResourceName): string {
  return group ? `${resource}.${group}` : resource
}

function details({ group, resource }: ResourceName, name: string, more: JsonObject = {}): JsonObject {
  return { ...(name && { name }), ...(group && { group }), kind: resource, ...more }
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message)
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized')
}

export function notFound(of: ResourceName, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(of)} "${name}" not found`, details(of, name))
}

/** A path that leads nowhere. */
export function unknownPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function alreadyExists(of: ResourceName, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${qualified(of)} "${name}" already exists`, details(of, name))
}

export function conflict(of: ResourceName, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`
  return new ApiError(409, 'Conflict', message, details(of, name))
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

/** Fields of other managers that an apply would change. Wording: structured-merge-diff's Conflicts, kubectl parses it. */
export function applyConflict(message: string, causes: Cause[]): ApiError {
  return new ApiError(409, 'Conflict', message, { causes })
}

export function forbidden(of: ResourceName, name: string, why: string): ApiError {
  return new ApiError(403, 'Forbidden', `${qualified(of)} "${name}" is forbidden: ${why}`, details(of, name))
}

/** 422 with one cause per field; the message lists them as `field: message`. */
export function invalid(of: { group: string; kind: string }, name: string, causes: Cause[]): ApiError {
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`)
  const text = texts.length === 1 ? texts[0] : `[${[...new Set(texts)].join(', ')}]`
  const subject = of.group ? `${of.kind}.${of.group}` : of.kind
  const detail: JsonObject = { name, ...(of.group && { group: of.group }), kind: of.kind, causes }
  if (!name) delete detail.name
  return new ApiError(422, 'Invalid', `${subject} "${name}" is invalid: ${text}`, detail)
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})
}

export function notAcceptable(): ApiError {
  const forms = ['application/json', 'application/yaml', 'application/json;stream=watch']
  const message = `406: Not Acceptable\n\nAvailable representations: ${forms.join(', ')}`
  return new ApiError(406, 'NotAcceptable', message, {})
}

/** A body in a form that we do not read. */
export function unsupportedMediaType(accepted: string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new ApiError(415, 'UnsupportedMediaType', message)
}

export function unsupportedPatchType(): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
}

/** A patch that does not apply, or leaves what is no object of the kind. */
export function unprocessable(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})
}

/** 410 for continue tokens and old resource versions: the client lists again. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message)
}

export function tooLarge(limit: number): ApiError {
  const message = `Request entity too large: limit is ${limit}`
  return new ApiError(413, 'RequestEntityTooLarge', message)
}

export function resourceVersionTooLarge(asked: number, current: number): ApiError {
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]
  return new ApiError(504, 'Timeout', message, { causes, retryAfterSeconds: 1 }, { 'Retry-After': '1' })
}

export function internal(): ApiError {
  const message = 'Internal error occurred: the request could not be processed'
  return new ApiError(500, 'InternalError', message, { causes: [{ message: 'the request could not be processed' }] })
}

const quote = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? 'null')

/** Causes in the words of k8s.io/apimachinery/pkg/util/validation/field. */
export const cause = {
  required: (field: string, detail = ''): Cause => ({
    reason: 'FieldValueRequired',
    message: `Required value${detail && `: ${detail}`}`,
    field,
  }),
  invalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${quote(value)}: ${detail}`,
    field,
  }),
  /** Invalid without the value: for objects and lists, where it would only be noise. */
  invalidOmitted: (field: string, detail: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${detail}`,
    field,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${quote(value)}: ${detail}`,
    field,
  }),
  notSupported: (field: string, value: unknown, supported: unknown[]): Cause => ({
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${quote(value)}: supported values: ${supported.map(quote).join(', ')}`,
    field,
  }),
  duplicate: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${quote(value)}`,
    field,
  }),
  forbidden: (field: string, detail: string): Cause => ({
    reason: 'FieldValueForbidden',
    message: `Forbidden: ${detail}`,
    field,
  }),
  tooLong: (field: string, max: number): Cause => ({
    reason: 'FieldValueTooLong',
    message: `Too long: may not be more than ${max} bytes`,
    field,
  }),
  tooMany: (field: string, count: number, max: number): Cause => ({
    reason: 'FieldValueTooMany',
    message: `Too many: ${count}: must have at most ${max} items`,
    field,
  }),
}
