/** The PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2020). Pure. */
import { isIP } from 'node:net'

/** Version 1 lines have at most 107 bytes (§2.1); version 2 headers with their TLVs we take up to this many. */
export const MAX_PROXY_HEADER_BYTES = 16 + 4096

const V1_MAX_BYTES = 107
const V1_PREFIX = Buffer.from('PROXY ')
const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])

export type ProxyHeader =
  /** The bytes cannot be the beginning of a header. */
  | { kind: 'none' }
  /** They may be; more bytes will tell. */
  | { kind: 'incomplete' }
  /** `address` is undefined for LOCAL and UNKNOWN: a health check of the proxy itself. */
  | { kind: 'header'; lengthBytes: number; address: string | undefined }
  | { kind: 'invalid'; reason: string }

/** Reads a header at the beginning of `bytes`. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V1_PREFIX)) return bytes.length < V1_PREFIX.length ? { kind: 'incomplete' } : parseV1(bytes)
  if (startsLike(bytes, V2_SIGNATURE)) return bytes.length < 16 ? { kind: 'incomplete' } : parseV2(bytes)
  return { kind: 'none' }
}

function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.subarray(0, length).equals(prefix.subarray(0, length))
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n')
  if (end < 0)
    return bytes.length < V1_MAX_BYTES ? { kind: 'incomplete' } : { kind: 'invalid', reason: 'line too long' }
  const [, family, source] = bytes.toString('latin1', 0, end).split(' ')
  const lengthBytes = end + 2
  if (family === 'UNKNOWN') return { kind: 'header', lengthBytes, address: undefined }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : undefined
  if (!version || !source || isIP(source) !== version) return { kind: 'invalid', reason: 'bad address' }
  return { kind: 'header', lengthBytes, address: source }
}

function parseV2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12)
  if (versionAndCommand >> 4 !== 2) return { kind: 'invalid', reason: 'unknown version' }
  const lengthBytes = 16 + bytes.readUInt16BE(14)
  if (lengthBytes > MAX_PROXY_HEADER_BYTES) return { kind: 'invalid', reason: 'header too long' }
  if (bytes.length < lengthBytes) return { kind: 'incomplete' }
  const command = versionAndCommand & 0x0f
  if (command === 0) return { kind: 'header', lengthBytes, address: undefined } // LOCAL
  if (command !== 1) return { kind: 'invalid', reason: 'unknown command' }
  const family = bytes.readUInt8(13) >> 4
  if (family === 1 && lengthBytes >= 28) {
    return { kind: 'header', lengthBytes, address: bytes.subarray(16, 20).join('.') }
  }
  if (family === 2 && lengthBytes >= 52) {
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(16 + index * 2).toString(16))
    return { kind: 'header', lengthBytes, address: groups.join(':') }
  }
  return family === 0 ? { kind: 'header', lengthBytes, address: undefined } : { kind: 'invalid', reason: 'bad address' }
}
