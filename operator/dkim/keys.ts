/** DKIM key pairs (RFC 6376, RFC 8463): making them, checking them, and the DNS record that publishes one. */

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export type KeyAlgorithm = 'rsa2048' | 'ed25519'

export interface DkimKeyPair {
  algorithm: KeyAlgorithm
  /** PKCS#8, PEM. */
  privatePem: string
  /** Value of the TXT record, strings joined. */
  txt: string
}

/** A key that cannot sign: unreadable, encrypted, or of a kind that DKIM does not know. */
export class UnusableKey extends Error {
  override name = 'UnusableKey'
}

/** Selector of the first key of an algorithm: the part before ._domainkey. */
export const FIRST_SELECTOR: Record<KeyAlgorithm, string> = { rsa2048: 'default', ed25519: 'ed25519' }

const generate = promisify(generateKeyPair)

/** A fresh key pair. RSA is made in libuv's pool, so nothing waits for it. */
export async function generateDkimKey(algorithm: KeyAlgorithm): Promise<DkimKeyPair> {
  // RFC 8301 §3.2: at least 1024 bits, better 2048; more does not fit one UDP answer.
  const { privateKey } =
    algorithm === 'rsa2048' ? await generate('rsa', { modulusLength: 2048 }) : await generate('ed25519')
  return dkimKeyOf(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
}

/**
 * The key pair of a private key, ours or imported.
 * @param privatePem PEM, PKCS#8 or PKCS#1, not encrypted
 * @throws UnusableKey
 */
export function dkimKeyOf(privatePem: string): DkimKeyPair {
  let key: KeyObject
  try {
    key = createPrivateKey(privatePem)
  } catch (error) {
    throw new UnusableKey('the private key cannot be read', { cause: error })
  }
  const publicKey = createPublicKey(key)
  const pkcs8 = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  if (key.asymmetricKeyType === 'rsa') {
    if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 1024)
      throw new UnusableKey('RSA keys below 1024 bits are refused')
    const p = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
    return { algorithm: 'rsa2048', privatePem: pkcs8, txt: `v=DKIM1; k=rsa; p=${p}` }
  }
  if (key.asymmetricKeyType === 'ed25519') {
    // RFC 8463 §4: the bare 32 bytes, which end the SubjectPublicKeyInfo (RFC 8410 §4).
    const p = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')
    return { algorithm: 'ed25519', privatePem: pkcs8, txt: `v=DKIM1; k=ed25519; p=${p}` }
  }
  throw new UnusableKey(`DKIM knows RSA and Ed25519 keys, not ${key.asymmetricKeyType}`)
}
