/** Password hashes: scrypt (RFC 7914) in the PHC string format. The work is done off the main thread. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { Unavailable } from '../db/database.ts'

/**
 * 16 MiB and about 0.03 s of a core, Node's own default. More would be felt by the server before it is by a thief: mail
 * programs log in once per connection, guesses are throttled, and passwords that the operator makes have 140 bits.
 */
const COST = { ln: 14, r: 8, p: 1 }
/** Of Node's four pool threads: the rest must stay free, because new database connections and name look-ups need them too. */
const DERIVATIONS_AT_A_TIME = 2
/** About fifteen seconds' work: who would wait longer is asked to come again. */
const MAX_WAITING = 1000
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

// The thread pool is the process's, and so is its gate.
let deriving = 0
const waiting: (() => void)[] = []

async function derive(password: string, salt: Buffer, { ln, r, p }: typeof COST): Promise<Buffer> {
  if (waiting.length >= MAX_WAITING) throw new Unavailable('too many logins are waiting to be checked')
  if (deriving >= DERIVATIONS_AT_A_TIME) await new Promise<void>((resolve) => waiting.push(resolve))
  else deriving++
  const N = 2 ** ln
  try {
    return await new Promise((resolve, reject) => {
      scrypt(password.normalize('NFC'), salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
        if (error) reject(error)
        else resolve(key)
      })
    })
  } finally {
    // A waiting one takes over the place.
    const next = waiting.shift()
    if (next) next()
    else deriving--
  }
}

function format(salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(key)}`
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
