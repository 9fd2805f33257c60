/** The digests that a body may be checked against: Content-MD5, x-amz-checksum-*, and the ETag. */
import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'

const CASTAGNOLI = new Uint32Array(256).map((_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** Takes bytes, answers base64. */
export interface Digest {
  update(data: Buffer): void
  base64(): string
}

/** Header names that we check; x-amz-checksum-crc64nvme is refused as not implemented. */
export const CHECKSUM_HEADERS = [
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
] as const

/** @param header one of CHECKSUM_HEADERS, or 'content-md5'; undefined for others */
export function digestFor(header: string): Digest | undefined {
  switch (header) {
    case 'content-md5':
      return hashDigest(createHash('md5'))
    case 'x-amz-checksum-sha1':
      return hashDigest(createHash('sha1'))
    case 'x-amz-checksum-sha256':
      return hashDigest(createHash('sha256'))
    case 'x-amz-checksum-crc32': {
      let value = 0
      return {
        update(data) {
          value = crc32(data, value)
        },
        base64: () => wordBase64(value),
      }
    }
    case 'x-amz-checksum-crc32c': {
      let value = 0xffffffff
      return {
        update(data) {
          for (const byte of data) value = (value >>> 8) ^ (CASTAGNOLI[(value ^ byte) & 0xff] ?? 0)
        },
        base64: () => wordBase64(~value >>> 0),
      }
    }
    default:
      return undefined
  }
}

function hashDigest(hash: Hash): Digest {
  return { update: (data) => void hash.update(data), base64: () => hash.digest('base64') }
}

function wordBase64(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes.toString('base64')
}
