/**
 * A small certificate authority: kept for ten years, it issues server certificates, so that clients that trust ca.crt once
 * keep trusting after renewals. For a MailServer without an issuer, and for the local Kubernetes API.
 */

import 'reflect-metadata'
import { createPrivateKey, generateKeyPairSync, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

const DAY_MS = 86_400_000
const CA_DAYS = 3650
/** Below the 825 days that Apple's TLS accepts from private CAs. */
const LEAF_DAYS = 365
/** Renewed when less than this is left. */
const RENEW_DAYS = 120
/** Clocks differ. */
const BACKDATE_MS = 3_600_000

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** PEM. */
export interface CertificatePair {
  certificate: string
  privateKey: string
}

/** Makes a CA for one server. */
export async function makeAuthority(commonName: string, now: Date): Promise<CertificatePair> {
  const keys = newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [commonName.slice(0, 64)] }],
    notBefore: new Date(+now - BACKDATE_MS),
    notAfter: new Date(+now + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys: await imported(keys.pem),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create((await imported(keys.pem)).publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: keys.pem }
}

/**
 * A server certificate for all `names` (DNS names and IP addresses).
 * @throws Error when the authority's PEM is broken
 */
export async function issueCertificate(
  authority: CertificatePair,
  names: readonly string[],
  now: Date,
): Promise<CertificatePair> {
  const keys = newKeys()
  const issuer = new x509.X509Certificate(authority.certificate)
  const issuerKeys = await imported(authority.privateKey)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [(names[0] ?? 'mail').slice(0, 64)] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(+now - BACKDATE_MS),
    notAfter: new Date(Math.min(+now + LEAF_DAYS * DAY_MS, +issuer.notAfter)),
    signingAlgorithm: ALGORITHM,
    publicKey: (await imported(keys.pem)).publicKey,
    signingKey: issuerKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create((await imported(keys.pem)).publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: keys.pem }
}

/** What a certificate in a Secret says; undefined when it cannot be read. */
export function readCertificate(pem: string | undefined): { notAfter: Date; names: Set<string> } | undefined {
  if (!pem) return undefined
  try {
    const certificate = new X509Certificate(pem)
    const names = (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''))
    return { notAfter: new Date(certificate.validTo), names: new Set(names.map(canonicalName)) }
  } catch {
    return undefined
  }
}

/** True when the pair must be made again: unreadable, not this authority's, a name is missing, or it ends soon. */
export function needsRenewal(
  pair: CertificatePair,
  authority: CertificatePair,
  names: readonly string[],
  now: Date,
): boolean {
  const read = readCertificate(pair.certificate)
  if (!read || +read.notAfter - +now < RENEW_DAYS * DAY_MS) return true
  if (names.some((name) => !read.names.has(canonicalName(name)))) return true
  try {
    const certificate = new X509Certificate(pair.certificate)
    const issuer = new X509Certificate(authority.certificate)
    return !certificate.checkPrivateKey(createPrivateKey(pair.privateKey)) || !certificate.verify(issuer.publicKey)
  } catch {
    return true
  }
}

/** True when an authority can still issue: readable, its key fits, over a year left. */
export function isUsableAuthority(authority: CertificatePair, now: Date): boolean {
  try {
    const certificate = new X509Certificate(authority.certificate)
    const left = +new Date(certificate.validTo) - +now
    return (
      certificate.ca && left > LEAF_DAYS * DAY_MS && certificate.checkPrivateKey(createPrivateKey(authority.privateKey))
    )
  } catch {
    return false
  }
}

/** IPv6 addresses come back expanded and in upper case from X509Certificate. */
function canonicalName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname : name.toLowerCase()
}

function newKeys(): { pem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** The WebCrypto form that x509 works with. */
async function imported(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem)
  const usable = { name: 'ECDSA', namedCurve: 'P-256' }
  const jwk = key.export({ format: 'jwk' })
  const { d: _, ...publicJwk } = jwk
  const { subtle } = webcrypto
  return {
    privateKey: await subtle.importKey('jwk', jwk, usable, true, ['sign']),
    publicKey: await subtle.importKey('jwk', publicJwk, usable, true, ['verify']),
  }
}

function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40 // positive (RFC 5280 §4.1.2.2) and of full length
  return bytes.toString('hex')
}
