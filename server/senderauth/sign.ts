/** DKIM signatures for what our accounts send (RFC 6376, RFC 8463). */
import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import type { SigningKey } from './types.ts'

/**
 * Signs with every key: receivers that do not know Ed25519 yet take the RSA one.
 * @param raw CRLF line ends
 * @returns DKIM-Signature fields with their CRLFs, to be put on top; '' without keys
 * @throws Error naming the selector when a key does not work
 */
export async function signMessage(raw: Buffer, keys: SigningKey[]): Promise<string> {
  const signatureData = keys.map((key) => ({
    signingDomain: key.domain,
    selector: key.selector,
    privateKey: key.privateKey,
    algorithm: key.algorithm,
  }))
  const [first] = signatureData
  if (!first) return ''
  const { signatures, errors } = await dkimSign(raw, {
    ...first,
    canonicalization: 'relaxed/relaxed',
    signatureData,
  })
  const [failed] = errors
  if (failed) throw new Error(`DKIM signing with selector ${failed.selector} failed`, { cause: failed.err })
  return signatures
}
