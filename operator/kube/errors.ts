/**
 * What the API server answers when it refuses, and what the network does to us, as one error type with a `kind` to
 * switch on. Messages name verb and object but never carry headers, tokens or the values of a Secret.
 */

/**
 * Why a call failed, from Status.reason (k8s.io/apimachinery meta/v1 types.go), else from the HTTP status code.
 * `Timeout`: our deadline, or the server's (504, ServerTimeout). `Transient`: connection errors and other 5xx.
 * `TooLarge`: the answer is more than we read. `BadRequest`: every other refusal (400, 405, 406, 413, 415): retrying the same call cannot help.
 */
export type KubeErrorKind =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Invalid'
  | 'Forbidden'
  | 'Unauthorized'
  | 'TooManyRequests'
  | 'Timeout'
  | 'Transient'
  | 'TooLarge'
  | 'BadRequest'

/** Status.details.causes[]: which field, and why. */
export interface StatusCause {
  reason?: string
  message?: string
  field?: string
}

/** The API's own Status object (meta/v1), as far as we read it. */
export interface Status {
  code?: number
  reason?: string
  message?: string
  details?: { name?: string; kind?: string; causes?: StatusCause[]; retryAfterSeconds?: number }
}

interface KubeErrorFacts {
  kind: KubeErrorKind
  /** HTTP status code; 0 where no answer came. */
  code: number
  reason?: string
  causes?: StatusCause[]
  retryAfterMs?: number
}

/** A failed call to the Kubernetes API. */
export class KubeError extends Error {
  override name = 'KubeError'
  readonly kind: KubeErrorKind
  readonly code: number
  /** Status.reason as sent: 'NotFound', 'Invalid', 'Expired'; undefined where no Status came. */
  readonly reason: string | undefined
  readonly causes: readonly StatusCause[]
  /** How long the server asks us to wait; undefined where it did not say. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, facts: KubeErrorFacts, options?: ErrorOptions) {
    super(message, options)
    this.kind = facts.kind
    this.code = facts.code
    this.reason = facts.reason
    this.causes = facts.causes ?? []
    this.retryAfterMs = facts.retryAfterMs
  }
}

/** Ends work for good: it is counted and not tried again until something changes. Whoever throws it has told why. */
export class TerminalError extends Error {
  override name = 'TerminalError'
}

/** True when `error` is a KubeError, of that kind if one is given. */
export function isKubeError(error: unknown, ...kinds: KubeErrorKind[]): error is KubeError {
  return error instanceof KubeError && (kinds.length === 0 || kinds.includes(error.kind))
}

/** Why a try failed, for a status: what the API said, or that the log has it. */
export function failureText(error: unknown): string {
  return isKubeError(error) ? error.message : `The operator could not go on: ${String(error)}; see its log`
}

const KIND_OF_REASON: Record<string, KubeErrorKind> = {
  NotFound: 'NotFound',
  AlreadyExists: 'AlreadyExists',
  Conflict: 'Conflict',
  Gone: 'Gone',
  Expired: 'Gone',
  Invalid: 'Invalid',
  Forbidden: 'Forbidden',
  Unauthorized: 'Unauthorized',
  TooManyRequests: 'TooManyRequests',
  ServerTimeout: 'Timeout',
  Timeout: 'Timeout',
  ServiceUnavailable: 'Transient',
  InternalError: 'Transient',
  StorageReadError: 'Transient',
  BadRequest: 'BadRequest',
  MethodNotAllowed: 'BadRequest',
  NotAcceptable: 'BadRequest',
  UnsupportedMediaType: 'BadRequest',
  RequestEntityTooLarge: 'BadRequest',
}

const KIND_OF_CODE: Record<number, KubeErrorKind> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  422: 'Invalid',
  429: 'TooManyRequests',
  504: 'Timeout',
}

const MAX_MESSAGE = 2_000

/**
 * The error of an HTTP answer.
 * @param call what was asked, for people: "apply secrets mail/stalwart"
 * @param body the parsed Status, or whatever text came instead
 * @param options.secret the call carried a Secret: the server's text quotes refused values, so only field names stay
 * @param options.retryAfterMs from the Retry-After header
 */
export function kubeErrorOf(
  call: string,
  code: number,
  body: unknown,
  options: { secret?: boolean; retryAfterMs?: number } = {},
): KubeError {
  const status = isStatus(body) ? body : undefined
  const reason = status?.reason
  const kind = (reason && KIND_OF_REASON[reason]) || KIND_OF_CODE[code] || (code >= 500 ? 'Transient' : 'BadRequest')
  const causes = (status?.details?.causes ?? []).map((cause) =>
    options.secret ? withoutUndefined({ reason: cause.reason, field: cause.field }) : cause,
  )
  const text = options.secret
    ? causes.map((cause) => [cause.field, cause.reason].filter(Boolean).join(': ')).join('; ')
    : (status?.message ?? (typeof body === 'string' ? body.trim() : ''))
  const told = status?.details?.retryAfterSeconds
  const facts: KubeErrorFacts = { kind, code, causes }
  if (reason !== undefined) facts.reason = reason
  const retryAfterMs = options.retryAfterMs ?? (told ? told * 1000 : undefined)
  if (retryAfterMs !== undefined) facts.retryAfterMs = retryAfterMs
  return new KubeError(shortened(`${call}: ${[`${code} ${reason ?? kind}`, text].filter(Boolean).join(': ')}`), facts)
}

/** The error of a call that got no answer: refused, reset, unresolvable name, broken TLS. */
export function connectionError(call: string, cause: unknown): KubeError {
  return new KubeError(shortened(`${call}: ${causeText(cause)}`), { kind: 'Transient', code: 0 }, { cause })
}

/** The error of a call that ran into our own deadline. */
export function deadlineError(call: string, afterMs: number): KubeError {
  return new KubeError(`${call}: no answer within ${afterMs} ms`, { kind: 'Timeout', code: 0 })
}

function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  // Node puts the interesting part ("connect ECONNREFUSED 10.0.0.1:443") into AggregateError.errors or .code.
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(causeText).join(', ')
  return cause.message
}

function shortened(text: string): string {
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text
}

function withoutUndefined(cause: { reason: string | undefined; field: string | undefined }): StatusCause {
  const kept: StatusCause = {}
  if (cause.reason !== undefined) kept.reason = cause.reason
  if (cause.field !== undefined) kept.field = cause.field
  return kept
}

function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && (body as { kind?: unknown }).kind === 'Status'
}
