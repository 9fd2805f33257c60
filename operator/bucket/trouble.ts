/** What an S3 service or the way to it says no with, as the reason and message of a condition. */

export interface BucketTrouble {
  reason:
    | 'AccessDenied'
    | 'BucketNotOurs'
    | 'BucketLost'
    | 'EndpointUnreachable'
    | 'CertificateUntrusted'
    | 'BucketRefused'
  /** S3 error code, or that of the connection. */
  code: string
  /** Never carries a credential. */
  message: string
}

const DENIED = [
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'RequestTimeTooSkewed',
  'AllAccessDisabled',
  'Forbidden',
]
const UNREACHABLE = ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']

export function troubleOf(error: unknown): BucketTrouble {
  const code = codeOf(error)
  const said = messageOf(error)
  const message = (said.includes(code) ? said : said ? `${code}: ${said}` : code).slice(0, 400)
  if (DENIED.includes(code)) return { reason: 'AccessDenied', code, message }
  if (UNREACHABLE.includes(code) || message.includes('no answer within')) {
    return { reason: 'EndpointUnreachable', code, message }
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) return { reason: 'CertificateUntrusted', code, message }
  return { reason: 'BucketRefused', code, message }
}

/** minio's S3Error has `code`, a part of an answer `Code`; Node's errors too, at times only inside an AggregateError. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  if (typeof error === 'object' && error !== null) {
    const { code, Code } = error as { code?: unknown; Code?: unknown }
    if (code || Code) return String(code || Code)
  }
  return error instanceof Error ? error.name : 'Error'
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message
  const { Message } = (error ?? {}) as { Message?: unknown }
  return typeof Message === 'string' ? Message : ''
}
