/**
 * A small certificate authority: kept for ten years, it issues server certificates, so that clients that trust ca.crt once
 * keep trusting after renewals. For a MailServer without an issuer, and for the local Kubernetes API.
 */

import 'reflect-metadata'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

const DAY_MS = 86_400_000
const CA_DAYS = 3650
/** Below the 825 days that Apple's TLS accepts from private CAs. */
const LEAF_DAYS = 365
/** Renewed when less than this is left, where its authority lasts longer. */
const RENEW_DAYS = 120
/** Clocks differ. */
const BACKDATE_MS = 3_600_000

/** What WebCrypto signs with, by OpenSSL's names: ours is the first, a CA of somebody else may have any of them. */
const SIGNING: Record<string, { name: string; namedCurve?: string; hash?: string }> = {
  'ec prime256v1': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec secp384r1': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'ec secp521r1': { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  ed25519: { name: 'Ed25519' },
}

/** A private key of a kind that nothing can be signed with here; `message` is the kind, "ec secp256k1". */
export class UnknownKeyKind extends Error {
  override name = 'UnknownKeyKind'
}

/** PEM. */
export interface CertificatePair {
  certificate: string
  privateKey: string
}

/** Makes a CA for one server. */
export async function makeAuthority(commonName: string, now: Date): Promise<CertificatePair> {
  const keys = newKeys()
  const own = await imported(keys.pem)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [commonNameOf(commonName)] }],
    notBefore: new Date(+now - BACKDATE_MS),
    notAfter: new Date(+now + CA_DAYS * DAY_MS),
    signingAlgorithm: own.algorithm,
    keys: own,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: keys.pem }
}

/**
 * A server certificate for all `names` (DNS names and IP addresses).
 * @param privateKey PEM of the key to stay with, where it is one of ours; default: a new one
 * @throws UnknownKeyKind when nothing can be signed with the authority's key; Error when its PEM is broken
 */
export async function issueCertificate(
  authority: CertificatePair,
  names: readonly string[],
  now: Date,
  privateKey?: string,
): Promise<CertificatePair> {
  const keys = privateKey !== undefined && isOurKind(privateKey) ? { pem: privateKey } : newKeys()
  const issuer = new x509.X509Certificate(authority.certificate)
  const issuerKeys = await imported(authority.privateKey)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [(names[0] ?? 'mail').slice(0, 64)] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(+now - BACKDATE_MS),
    notAfter: new Date(Math.min(+now + LEAF_DAYS * DAY_MS, +issuer.notAfter)),
    signingAlgorithm: issuerKeys.algorithm,
    publicKey: (await imported(keys.pem)).publicKey,
    signingKey: issuerKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
      await authorityKeyIdentifier(issuer),
      await x509.SubjectKeyIdentifierExtension.create((await imported(keys.pem)).publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), privateKey: keys.pem }
}

/** What a certificate in a Secret says; undefined when it cannot be read. */
export function readCertificate(
  pem: string | undefined,
): { notBefore: Date; notAfter: Date; names: Set<string>; publicKey: KeyObject } | undefined {
  if (!pem) return undefined
  try {
    const certificate = new X509Certificate(pem)
    const { publicKey } = certificate
    const names = (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''))
    return {
      notBefore: new Date(certificate.validFrom),
      notAfter: new Date(certificate.validTo),
      names: new Set(names.map(canonicalName)),
      publicKey,
    }
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
  if (!read || names.some((name) => !read.names.has(canonicalName(name)))) return true
  try {
    const certificate = new X509Certificate(pair.certificate)
    const issuer = new X509Certificate(authority.certificate)
    const endsSoon = +read.notAfter - +now < RENEW_DAYS * DAY_MS
    if (endsSoon && +read.notAfter < +new Date(issuer.validTo)) return true
    return !certificate.checkPrivateKey(createPrivateKey(pair.privateKey)) || !certificate.verify(issuer.publicKey)
  } catch {
    return true
  }
}

/** Why an authority cannot issue, "has a tls.key that cannot be read"; undefined when it can. */
export function authorityTrouble({ certificate, privateKey }: CertificatePair, now: Date): string | undefined {
  const read = attempt(() => new X509Certificate(certificate))
  if (!read) return 'has a tls.crt that cannot be read'
  const key = attempt(() => createPrivateKey(privateKey))
  if (!key) return 'has a tls.key that cannot be read'
  if (!read.ca) return 'has a tls.crt that is not the certificate of a CA'
  if (!read.checkPrivateKey(key)) return 'has a tls.key that is not the key of its tls.crt'
  const [begins, ends] = [new Date(read.validFrom), new Date(read.validTo)]
  if (begins > now) return `is not valid before ${begins.toISOString()}`
  if (ends <= now) return `ended ${ends.toISOString()}`
  const kind = kindOf(key)
  if (SIGNING[kind]) return undefined
  return `has a key (${kind}) that nothing can be signed with: use RSA, P-256, P-384, P-521 or Ed25519`
}

/** True for the whole of what `makeAuthority` made under that name: a part of it beside a part of another is nobody's. */
export function isMadeAuthority({ certificate, privateKey }: CertificatePair, commonName: string): boolean {
  const read = attempt(() => new X509Certificate(certificate))
  const key = attempt(() => createPrivateKey(privateKey))
  return (
    read !== undefined &&
    key !== undefined &&
    read.subject === `CN=${commonNameOf(commonName)}` &&
    read.issuer === read.subject &&
    read.checkPrivateKey(key)
  )
}

/** True while certificates from it have their full life. */
export function lastsLongEnough({ certificate }: CertificatePair, now: Date): boolean {
  const { notAfter } = readCertificate(certificate) ?? {}
  return notAfter !== undefined && +notAfter - +now > LEAF_DAYS * DAY_MS
}

/** RFC 5280, appendix A.1: ub-common-name. */
const commonNameOf = (text: string) => text.slice(0, 64)

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** As OpenSSL names it: "ec prime256v1", "rsa". */
function kindOf({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string {
  return details?.namedCurve ? `${asymmetricKeyType} ${details.namedCurve}` : `${asymmetricKeyType}`
}

/** IPv6 addresses come back expanded and in upper case from X509Certificate. */
function canonicalName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname : name.toLowerCase()
}

function isOurKind(privateKey: string): boolean {
  try {
    return createPrivateKey(privateKey).asymmetricKeyDetails?.namedCurve === 'prime256v1'
  } catch {
    return false
  }
}

function newKeys(): { pem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** As the issuer calls its key; clients compare the two (RFC 5280 §4.2.1.1). */
async function authorityKeyIdentifier(issuer: x509.X509Certificate): Promise<x509.AuthorityKeyIdentifierExtension> {
  const named = issuer.getExtension(x509.SubjectKeyIdentifierExtension)
  return named
    ? new x509.AuthorityKeyIdentifierExtension(named.keyId)
    : x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey)
}

/**
 * The WebCrypto form that x509 works with.
 * @throws UnknownKeyKind
 */
async function imported(pem: string): Promise<webcrypto.CryptoKeyPair & { algorithm: { name: string } }> {
  const key = createPrivateKey(pem)
  const kind = kindOf(key)
  const algorithm = SIGNING[kind]
  if (!algorithm) throw new UnknownKeyKind(kind)
  const { subtle } = webcrypto
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return {
    algorithm,
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
  }
}

function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40 // positive (RFC 5280 §4.1.2.2) and of full length
  return bytes.toString('hex')
}
