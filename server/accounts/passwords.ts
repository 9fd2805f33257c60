/** Password hashes: scrypt (RFC 7914) in the PHC string format. The work is done off the main thread. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** One of OWASP's recommended settings for scrypt: 16 MiB, about 0.15 s of a core. */
const COST = { ln: 14, r: 8, p: 5 }
const KEY_BYTES = 32
const MAX_PASSWORD_BYTES = 1024

/** `$scrypt$ln=14,r=8,p=5$<salt>$<key>`, both base64 without padding. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const key = await derive(password, salt, COST)
  return format(salt, key)
}

/** A hash that no password has, as dear to check as a true one. */
export function decoyHash(): string {
  return format(randomBytes(16), randomBytes(KEY_BYTES))
}

/** False also for a hash of another format. Takes the same time for right and wrong passwords. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]+)\$([\w+/]+)$/.exec(hash)
  const [, ln, r, p, salt, key] = match ?? []
  if (!salt || !key || Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return false
  const expected = Buffer.from(key, 'base64')
  const actual = await derive(password, Buffer.from(salt, 'base64'), { ln: Number(ln), r: Number(r), p: Number(p) })
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

function derive(password: string, salt: Buffer, { ln, r, p }: typeof COST): Promise<Buffer> {
  const N = 2 ** ln
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}

function format(salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(key)}`
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
