/** Refusals of HTTP requests. */

/** Ends a request with a status and an RFC 9457 problem document. `message` is read by strangers. */
export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: number
  readonly headers: Record<string, string>
  /** Members of the problem document beside status and detail. */
  readonly problem: Record<string, unknown>
  constructor(
    status: number,
    message: string,
    {
      headers = {},
      problem = {},
      ...options
    }: { headers?: Record<string, string>; problem?: Record<string, unknown> } & ErrorOptions = {},
  ) {
    super(message, options)
    this.status = status
    this.headers = headers
    this.problem = problem
  }
}

/** 405 with the methods that there are. */
export function methodNotAllowed(allowed: readonly string[]): HttpError {
  return new HttpError(405, `use ${allowed.join(' or ')}`, { headers: { Allow: allowed.join(', ') } })
}
