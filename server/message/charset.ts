/** Bytes of a named charset to text. WHATWG's table (TextDecoder) first, iconv-lite for what it leaves out (UTF-7, code pages). */
import { isUtf8 } from 'node:buffer'
import iconv from 'iconv-lite'

/**
 * Decodes bytes; never throws. An unknown charset, and 8-bit text that calls itself US-ASCII, is UTF-8 when valid,
 * else windows-1252.
 */
export function decodeCharset(bytes: Buffer, charset: string): string {
  const name = charset.trim().toLowerCase()
  if (name === 'utf-8' || name === 'utf8') return bytes.toString('utf8')
  if (name === '' || name === 'us-ascii' || name === 'ascii' || name === 'unknown-8bit') return guess(bytes)
  const decoder = whatwgDecoder(name)
  if (decoder) return decoder.decode(bytes)
  if (name.length < 40 && iconv.encodingExists(name)) return iconv.decode(bytes, name).toWellFormed()
  return guess(bytes)
}

/** True when `decodeCharset` knows the name. */
export function isKnownCharset(charset: string): boolean {
  const name = charset.trim().toLowerCase()
  return whatwgDecoder(name) !== undefined || (name.length < 40 && iconv.encodingExists(name))
}

function guess(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  return new TextDecoder('windows-1252').decode(bytes)
}

function whatwgDecoder(name: string): InstanceType<typeof TextDecoder> | undefined {
  if (!/^[a-z0-9:_.-]{1,40}$/.test(name)) return undefined
  try {
    return new TextDecoder(name, { ignoreBOM: false })
  } catch {
    return undefined // RangeError: not in WHATWG's table
  }
}
