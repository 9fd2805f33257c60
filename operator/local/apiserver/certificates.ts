/** A certificate authority and a server certificate in plain DER (RFC 5280), ECDSA P-256: all that a local server needs. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

const TEN_YEARS_MS = 10 * 365 * 86_400_000

export type Authority = { certificate: string; privateKey: string }

/** A self-signed CA. Certificate and key are PEM. */
export function createAuthority(commonName: string, now: Date): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const basicConstraints = extension('2.5.29.19', sequence(boolean(true)), true)
  const keyUsage = extension('2.5.29.15', der(0x03, Buffer.from([1, 0x06])), true)
  const extensions = [basicConstraints, keyUsage, subjectKeyIdentifier(publicKey)]
  const certificate = issue({ subject: commonName, issuer: commonName, publicKey, signer: privateKey, now, extensions })
  return { certificate, privateKey: pemOfKey(privateKey) }
}

/** A server certificate for DNS names and IP addresses, signed by the authority. Certificate and key are PEM. */
export function createServerCertificate(
  authority: Authority,
  authorityName: string,
  hosts: string[],
  now: Date,
): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const names = hosts.map((host) => (isIP(host) ? der(0x87, addressBytes(host)) : der(0x82, Buffer.from(host))))
  const extensions = [
    extension('2.5.29.17', sequence(...names)),
    extension('2.5.29.37', sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.15', der(0x03, Buffer.from([7, 0x80])), true),
    subjectKeyIdentifier(publicKey),
  ]
  const signer = createPrivateKey(authority.privateKey)
  const certificate = issue({
    subject: hosts[0] ?? 'localhost',
    issuer: authorityName,
    publicKey,
    signer,
    now,
    extensions,
  })
  return { certificate, privateKey: pemOfKey(privateKey) }
}

type Issue = {
  subject: string
  issuer: string
  publicKey: KeyObject
  signer: KeyObject
  now: Date
  extensions: Buffer[]
}

function issue({ subject, issuer, publicKey, signer, now, extensions }: Issue): string {
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2'))
  const validity = sequence(
    generalizedTime(new Date(now.getTime() - 3_600_000)),
    generalizedTime(new Date(now.getTime() + TEN_YEARS_MS)),
  )
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    commonName(issuer),
    validity,
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', toBeSigned, signer)
  const bytes = sequence(toBeSigned, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function der(tag: number, content: Buffer): Buffer {
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const length = Buffer.from(content.length.toString(16).padStart(content.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content])
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.from([value ? 0xff : 0]))
}

function objectIdentifier(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const digits = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
    bytes.push(...digits)
  }
  return der(0x06, Buffer.from(bytes))
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectIdentifier('2.5.4.3'), der(0x0c, Buffer.from(name)))))
}

function generalizedTime(date: Date): Buffer {
  // RFC 5280 §4.1.2.5: two-digit years before 2050, four digits from then on.
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, '')
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), der(0x04, value))
}

function subjectKeyIdentifier(publicKey: KeyObject): Buffer {
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  return extension('2.5.29.14', der(0x04, point.subarray(1, 21)))
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const left = head ? head.split(':') : []
  const right = tail ? tail.split(':') : []
  const groups = [...left, ...Array(tail === undefined ? 0 : 8 - left.length - right.length).fill('0'), ...right]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
