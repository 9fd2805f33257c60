/**
 * AWS Signature Version 4 as S3 uses it: "Authenticating Requests (AWS Signature Version 4)" in the S3 API reference,
 * header and query-string (presigned) form. Pure: the clock is an argument.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { S3Error } from './errors.ts'

const ALGORITHM = 'AWS4-HMAC-SHA256'
const MAX_SKEW_MS = 15 * 60_000
const MAX_EXPIRES_S = 7 * 24 * 3600

export interface SignedRequest {
  method: string
  /** Path as sent, still percent-encoded, without the query. */
  rawPath: string
  /** Query as sent, without '?'. */
  rawQuery: string
  headers: Record<string, string | string[] | undefined>
}

export interface Credentials {
  accessKey: string
  secretKey: string
}

/** What a verified request tells about its body, and what signed chunks continue from. */
export interface Verified {
  /** x-amz-content-sha256: 64 hex digits, UNSIGNED-PAYLOAD or a STREAMING-… name. */
  payload: string
  seedSignature: string
  signingKey: Buffer
  /** YYYYMMDD'T'HHMMSS'Z' */
  timestamp: string
  /** date/region/s3/aws4_request */
  scope: string
}

interface Claim {
  credential: string
  signedHeaders: string[]
  signature: string
  timestamp: string
  payload: string
  presigned: boolean
  expiresSeconds: number
}

/**
 * @throws S3Error AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed, or what is malformed
 */
export function verifySignature(request: SignedRequest, credentials: Credentials, now: Date): Verified {
  const query = queryPairs(request.rawQuery)
  const claim = query.some(([name]) => name === 'X-Amz-Algorithm')
    ? claimOfQuery(query)
    : claimOfHeader(request.headers)
  const [accessKey = '', date = '', region = '', service, terminator, ...more] = claim.credential.split('/')
  if (service !== 's3' || terminator !== 'aws4_request' || more.length > 0 || !claim.timestamp.startsWith(date)) {
    throw new S3Error(
      'AuthorizationHeaderMalformed',
      'The credential scope must be <key>/<date>/<region>/s3/aws4_request.',
    )
  }
  checkTime(claim, now)
  if (!claim.signedHeaders.includes('host')) throw new S3Error('AccessDenied', 'The host header must be signed.')
  for (const name of Object.keys(request.headers)) {
    if (name.startsWith('x-amz-') && !claim.signedHeaders.includes(name)) {
      throw new S3Error('AccessDenied', `There were headers present in the request which were not signed: ${name}`)
    }
  }
  if (!equal(accessKey, credentials.accessKey)) {
    throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.')
  }
  const scope = `${date}/${region}/s3/aws4_request`
  const canonical = canonicalRequest(request, query, claim)
  const signingKey = [date, region, 's3', 'aws4_request'].reduce<Buffer>(
    (key, part) => hmac(key, part),
    Buffer.from(`AWS4${credentials.secretKey}`),
  )
  const expected = hmac(signingKey, [ALGORITHM, claim.timestamp, scope, sha256(canonical)].join('\n')).toString('hex')
  if (!equal(expected, claim.signature)) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    )
  }
  return { payload: claim.payload, seedSignature: claim.signature, signingKey, timestamp: claim.timestamp, scope }
}

/** Signature of one chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body. `dataHash` is the hex SHA-256 of its data. */
export function chunkSignature(verified: Verified, previous: string, dataHash: string): string {
  const text = [`${ALGORITHM}-PAYLOAD`, verified.timestamp, verified.scope, previous, sha256(''), dataHash].join('\n')
  return hmac(verified.signingKey, text).toString('hex')
}

/** Signature of the trailing headers of a …-TRAILER body. `lines` is "name:value\n" for each. */
export function trailerSignature(verified: Verified, previous: string, lines: string): string {
  const text = [`${ALGORITHM}-TRAILER`, verified.timestamp, verified.scope, previous, sha256(lines)].join('\n')
  return hmac(verified.signingKey, text).toString('hex')
}

/** Constant-time comparison of two short texts. */
export function equal(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}

/** Decoded name-value pairs of a raw query, in order. */
export function queryPairs(rawQuery: string): [string, string][] {
  if (rawQuery === '') return []
  return rawQuery.split('&').map((pair) => {
    const at = pair.indexOf('=')
    // '+' means a space in a query, not in a path.
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    return [decoded(name.replace(/\+/g, '%20')), decoded(value.replace(/\+/g, '%20'))]
  })
}

function claimOfHeader(headers: SignedRequest['headers']): Claim {
  const authorization = single(headers.authorization)
  if (!authorization) throw new S3Error('AccessDenied', 'Access Denied.')
  const match = /^AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{64})$/.exec(
    authorization,
  )
  if (!match) throw new S3Error('AuthorizationHeaderMalformed', 'The authorization header is malformed.')
  const [, credential = '', signedHeaders = '', signature = ''] = match
  const payload = single(headers['x-amz-content-sha256'])
  if (!payload) throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  const timestamp = single(headers['x-amz-date']) ?? ''
  return {
    credential,
    signature,
    payload,
    timestamp,
    signedHeaders: signedHeaders.split(';'),
    presigned: false,
    expiresSeconds: 0,
  }
}

function claimOfQuery(query: [string, string][]): Claim {
  const value = (name: string): string => query.find(([key]) => key === name)?.[1] ?? ''
  const expiresSeconds = Number(value('X-Amz-Expires'))
  const complete = value('X-Amz-Algorithm') === ALGORITHM && /^[0-9a-f]{64}$/.test(value('X-Amz-Signature'))
  if (!complete || !Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > MAX_EXPIRES_S) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      'Query-string authentication needs X-Amz-Algorithm, -Credential, -Signature, -Date, -SignedHeaders and -Expires (1 to 604800).',
    )
  }
  return {
    credential: value('X-Amz-Credential'),
    signedHeaders: value('X-Amz-SignedHeaders').split(';'),
    signature: value('X-Amz-Signature'),
    timestamp: value('X-Amz-Date'),
    payload: 'UNSIGNED-PAYLOAD',
    presigned: true,
    expiresSeconds,
  }
}

function checkTime(claim: Claim, now: Date): void {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.timestamp)
  if (!match) throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header.')
  const [, year, month, day, hour, minute, second] = match.map(Number)
  const signedAt = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
  if (signedAt - now.getTime() > MAX_SKEW_MS || (!claim.presigned && now.getTime() - signedAt > MAX_SKEW_MS)) {
    throw new S3Error(
      'RequestTimeTooSkewed',
      "The difference between the request time and the server's time is too large.",
    )
  }
  if (claim.presigned && now.getTime() > signedAt + claim.expiresSeconds * 1000) {
    throw new S3Error('AccessDenied', 'Request has expired')
  }
}

function canonicalRequest(request: SignedRequest, query: [string, string][], claim: Claim): string {
  const path = request.rawPath
    .split('/')
    .map((part) => encoded(decoded(part)))
    .join('/')
  const canonicalQuery = query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encoded(name), encoded(value)] as const)
    .sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const headers = claim.signedHeaders.map((name) => {
    const value = request.headers[name]
    const text = Array.isArray(value) ? value.join(',') : (value ?? '')
    return `${name}:${text.trim().replace(/ +/g, ' ')}\n`
  })
  return [request.method, path, canonicalQuery, headers.join(''), claim.signedHeaders.join(';'), claim.payload].join(
    '\n',
  )
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.")
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
