/**
 * The bytes of a request body, decoded from aws-chunked where the client uses it, with every promise the client made
 * about them checked: length, SHA-256, chunk signatures, trailing checksums. The last check is done before the iteration
 * ends, so whoever has seen the end may keep the data. "Signature Calculations for the Authorization Header:
 * Transferring Payload in Multiple Chunks" in the S3 API reference.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { CHECKSUM_HEADERS, type Digest, digestFor } from './checksums.ts'
import { S3Error } from './errors.ts'
import { chunkSignature, equal, trailerSignature, type Verified } from './signature.ts'

const MAX_CHUNK_LINE = 1024
const MAX_TRAILER_LINES = 16

/**
 * @param maxBytes of decoded data; more is EntityTooLarge
 * @throws S3Error while iterating
 */
export async function* readPayload(
  body: AsyncIterable<Buffer>,
  headers: IncomingHttpHeaders,
  verified: Verified,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  const chunked = verified.payload.startsWith('STREAMING-')
  const length = headers[chunked ? 'x-amz-decoded-content-length' : 'content-length']
  if (length === undefined)
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.')
  const expected = Number(length)
  if (!Number.isInteger(expected) || expected < 0) throw new S3Error('InvalidArgument', 'Invalid length.')
  if (expected > maxBytes) throw tooLarge()
  const checks = checksOf(headers)
  const trailers: Record<string, string> = {}
  const data = chunked ? readChunks(body, verified, trailers) : readWhole(body, verified.payload)
  const trailerChecks = new Map<string, Digest>()
  if (verified.payload.endsWith('-TRAILER')) {
    for (const name of String(headers['x-amz-trailer'] ?? '').split(',')) {
      const digest = digestFor(name.trim().toLowerCase())
      if (digest) trailerChecks.set(name.trim().toLowerCase(), digest)
    }
  }
  let received = 0
  for await (const piece of data) {
    received += piece.length
    if (received > expected) throw tooLarge()
    for (const check of checks) check.digest.update(piece)
    for (const digest of trailerChecks.values()) digest.update(piece)
    yield piece
  }
  if (received !== expected) {
    throw new S3Error(
      'IncompleteBody',
      'You did not provide the number of bytes specified by the Content-Length header.',
    )
  }
  for (const { header, digest, want } of checks) if (digest.base64() !== want) throw badDigest(header)
  for (const [header, digest] of trailerChecks) if (digest.base64() !== trailers[header]) throw badDigest(header)
}

/** A whole small body (XML documents). */
export async function readDocument(data: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of data) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

function tooLarge(): S3Error {
  return new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.')
}

function badDigest(header: string): S3Error {
  return new S3Error('BadDigest', `The ${header} you specified did not match what we received.`)
}

function checksOf(headers: IncomingHttpHeaders): { header: string; digest: Digest; want: string }[] {
  const checks = []
  for (const header of ['content-md5', ...CHECKSUM_HEADERS]) {
    const want = headers[header]
    const digest = digestFor(header)
    if (typeof want === 'string' && digest) checks.push({ header, digest, want: want.trim() })
  }
  const md5 = headers['content-md5']
  if (md5 !== undefined && Buffer.from(String(md5), 'base64').length !== 16) {
    throw new S3Error('InvalidDigest', 'The Content-MD5 you specified is not valid.')
  }
  if (headers['x-amz-checksum-crc64nvme'] !== undefined || /crc64nvme/i.test(String(headers['x-amz-trailer'] ?? ''))) {
    throw new S3Error('NotImplemented', 'CRC64NVME checksums are not implemented; use CRC32, CRC32C, SHA1 or SHA256.')
  }
  return checks
}

async function* readWhole(body: AsyncIterable<Buffer>, payload: string): AsyncGenerator<Buffer> {
  if (payload === 'UNSIGNED-PAYLOAD') {
    yield* body
    return
  }
  if (!/^[0-9a-f]{64}$/.test(payload)) throw new S3Error('InvalidArgument', 'x-amz-content-sha256 is not valid.')
  const hash = createHash('sha256')
  for await (const piece of body) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') !== payload) {
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
  }
}

async function* readChunks(
  body: AsyncIterable<Buffer>,
  verified: Verified,
  trailers: Record<string, string>,
): AsyncGenerator<Buffer> {
  const signed = verified.payload.startsWith('STREAMING-AWS4-HMAC-SHA256-PAYLOAD')
  const withTrailer = verified.payload.endsWith('-TRAILER')
  if (!signed && verified.payload !== 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') {
    throw new S3Error('NotImplemented', `${verified.payload} is not implemented.`)
  }
  const input = createInput(body)
  let previous = verified.seedSignature
  for (;;) {
    const line = await input.line()
    const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line)
    if (!match || (signed && !match[2])) throw new S3Error('IncompleteBody', 'The chunked body is malformed.')
    const size = Number.parseInt(match[1] ?? '', 16)
    const hash = signed ? createHash('sha256') : undefined
    for await (const piece of input.bytes(size)) {
      hash?.update(piece)
      yield piece
    }
    if (hash) {
      const expected = chunkSignature(verified, previous, hash.digest('hex'))
      if (!equal(expected, match[2] ?? '')) throw mismatch()
      previous = expected
    }
    if (size === 0) break
    if ((await input.line()) !== '') throw new S3Error('IncompleteBody', 'The chunked body is malformed.')
  }
  let lines = ''
  let trailerSigned = ''
  for (let count = 0; ; count++) {
    const line = await input.line()
    if (line === '') break
    if (count >= MAX_TRAILER_LINES) throw new S3Error('IncompleteBody', 'Too many trailing headers.')
    const at = line.indexOf(':')
    const [name, value] = [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()]
    if (name === 'x-amz-trailer-signature') trailerSigned = value
    else {
      trailers[name] = value
      lines += `${name}:${value}\n`
    }
  }
  if (signed && withTrailer && !equal(trailerSignature(verified, previous, lines), trailerSigned)) throw mismatch()
  await input.end()
}

function mismatch(): S3Error {
  return new S3Error('SignatureDoesNotMatch', 'The signature of a chunk does not match.')
}

/** Lines and counted bytes out of a stream of buffers. */
function createInput(body: AsyncIterable<Buffer>) {
  const source = body[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const next = await source.next()
    if (next.done) return false
    held = held.length === 0 ? next.value : Buffer.concat([held, next.value])
    return true
  }

  return {
    /** Up to and without CRLF; the end of the body counts as an empty line, as some clients leave the last CRLF out. */
    async line(): Promise<string> {
      for (;;) {
        const at = held.indexOf('\n')
        if (at >= 0) {
          const line = held.subarray(0, at).toString('latin1')
          held = held.subarray(at + 1)
          return line.endsWith('\r') ? line.slice(0, -1) : line
        }
        if (held.length > MAX_CHUNK_LINE) throw new S3Error('IncompleteBody', 'A line of the chunked body is too long.')
        if (!(await more())) {
          if (held.length === 0) return ''
          throw new S3Error('IncompleteBody', 'The chunked body ended early.')
        }
      }
    },
    async *bytes(count: number): AsyncGenerator<Buffer> {
      let left = count
      while (left > 0) {
        if (held.length === 0 && !(await more())) throw new S3Error('IncompleteBody', 'The chunked body ended early.')
        const piece = held.subarray(0, left)
        held = held.subarray(piece.length)
        left -= piece.length
        if (piece.length > 0) yield piece
      }
    },
    /** Reads what is left, so that the connection can be used again. */
    async end(): Promise<void> {
      held = Buffer.alloc(0)
      while (!(await source.next()).done);
    },
  }
}
