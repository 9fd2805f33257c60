import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, createServer } from 'node:tls'
import * as x509 from '@peculiar/x509'
import {
  authorityTrouble,
  isMadeAuthority,
  issueCertificate,
  lastsLongEnough,
  makeAuthority,
  needsRenewal,
  readCertificate,
  UnknownKeyKind,
} from './authority.ts'

const NOW = new Date()
const NAMES = ['mail.example.org', 'mta-sts.example.org', 'localhost', '127.0.0.1', '::1']
const authority = await makeAuthority('CA of communication/stalwart', NOW)
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()
const pair = await issueCertificate(authority, NAMES, NOW)
const inDays = (days: number) => new Date(+NOW + days * 86_400_000)

test('a TLS client that trusts ca.crt accepts it for every name', async () => {
  const server = createServer({ cert: pair.certificate, key: pair.privateKey })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  try {
    for (const servername of ['mail.example.org', 'localhost']) {
      const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate, servername })
      await once(socket, 'secureConnect')
      assert.equal(socket.authorized, true)
      socket.destroy()
    }
  } finally {
    server.close()
  }
})

test('its names can be read back, IPv6 however it is written', () => {
  assert.equal(needsRenewal(pair, authority, NAMES, NOW), false)
  assert.equal(needsRenewal(pair, authority, ['0:0:0:0:0:0:0:1'], NOW), false)
})

test('serial numbers differ and it ends within a year', async () => {
  const other = await issueCertificate(authority, NAMES, NOW)
  assert.notEqual(other.certificate, pair.certificate)
  const { notAfter } = readCertificate(pair.certificate) ?? {}
  assert.ok(notAfter && notAfter <= inDays(366) && notAfter >= inDays(364))
})

for (const [what, is] of [
  ['a name is missing', async () => needsRenewal(pair, authority, ['new.example.org'], NOW)],
  ['it ends soon', async () => needsRenewal(pair, authority, NAMES, inDays(300))],
  ['another CA signed it', async () => needsRenewal(pair, await makeAuthority('other', NOW), NAMES, NOW)],
  [
    'its key is another',
    async () => needsRenewal({ ...pair, privateKey: authority.privateKey }, authority, NAMES, NOW),
  ],
  ['it is no certificate', async () => needsRenewal({ certificate: 'x', privateKey: 'y' }, authority, NAMES, NOW)],
] as const) {
  test(`it is renewed when ${what}`, async () => assert.equal(await is(), true))
}

test('an authority lasts long enough until a certificate from it would end early', () => {
  assert.equal(lastsLongEnough(authority, NOW), true)
  assert.equal(lastsLongEnough(authority, inDays(3650 - 300)), false)
})

for (const [what, given, when, trouble] of [
  ['a whole one', authority, NOW, undefined],
  ['one that is about to end', authority, inDays(3649), undefined],
  ['one that has ended', authority, inDays(3651), /^ended \d{4}-/],
  ['one of the future', authority, inDays(-1), /^is not valid before /],
  [
    'the key of another',
    { ...authority, privateKey: pair.privateKey },
    NOW,
    /tls\.key that is not the key of its tls\.crt/,
  ],
  ['a certificate of no CA', pair, NOW, /not the certificate of a CA/],
  ['no certificate', { ...authority, certificate: '' }, NOW, /tls\.crt that cannot be read/],
  ['no key', { ...authority, privateKey: 'x' }, NOW, /tls\.key that cannot be read/],
] as const) {
  test(`whether an authority can issue: ${what}`, () => {
    const found = authorityTrouble(given, when)
    if (trouble) assert.match(found ?? '', trouble)
    else assert.equal(found, undefined)
  })
}

test('an authority of ours is known by its name, the whole of it', async () => {
  const name = 'CA of communication/stalwart'
  assert.equal(isMadeAuthority(authority, name), true)
  assert.equal(isMadeAuthority(authority, 'CA of communication/other'), false)
  assert.equal(isMadeAuthority({ ...authority, privateKey: pair.privateKey }, name), false)
  assert.equal(isMadeAuthority(await makeAuthority('Corporate CA', NOW), name), false)
  const long = `CA of communication/${'s'.repeat(50)}`
  assert.equal(isMadeAuthority(await makeAuthority(long, NOW), long), true)
})

test('a certificate that ends with its authority is not renewed: another would end then too', async () => {
  const when = inDays(3650 - 60)
  const last = await issueCertificate(authority, NAMES, when)
  assert.equal(needsRenewal(last, authority, NAMES, when), false)
  assert.equal(needsRenewal(last, await makeAuthority('CA of communication/stalwart', when), NAMES, when), true)
})

test('a certificate stays with a key that is given, where it is of our kind', async () => {
  const again = await issueCertificate(authority, NAMES, NOW, pair.privateKey)
  assert.equal(again.privateKey, pair.privateKey)
  assert.equal(needsRenewal(again, authority, NAMES, NOW), false)
  for (const other of [rsaKey, 'no key']) {
    assert.notEqual((await issueCertificate(authority, NAMES, NOW, other)).privateKey, other)
  }
})

/** A CA as somebody brings their own, with a key identifier that is not computed from the key. */
async function foreignAuthority(
  algorithm: webcrypto.RsaHashedKeyGenParams | webcrypto.EcKeyGenParams | { name: 'Ed25519' },
  hash: string,
) {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Corporate CA, O=Example',
    notBefore: NOW,
    notAfter: inDays(3650),
    signingAlgorithm: { ...algorithm, hash },
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.SubjectKeyIdentifierExtension('0102030405060708'),
    ],
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return {
    certificate: certificate.toString('pem'),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
}
for (const [what, algorithm, hash] of [
  ['RSA', rsa, 'SHA-256'],
  ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }, 'SHA-384'],
  ['P-521', { name: 'ECDSA', namedCurve: 'P-521' }, 'SHA-512'],
  ['Ed25519', { name: 'Ed25519' }, ''],
] as const) {
  test(`a CA of somebody with an ${what} key issues certificates that a TLS client accepts`, async () => {
    const theirs = await foreignAuthority(algorithm, hash)
    assert.equal(authorityTrouble(theirs, NOW), undefined)
    const issued = await issueCertificate(theirs, NAMES, NOW)
    assert.equal(needsRenewal(issued, theirs, NAMES, NOW), false)
    const server = createServer({ cert: issued.certificate, key: issued.privateKey })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    try {
      const socket = connect({ host: '127.0.0.1', port, ca: theirs.certificate, servername: 'mail.example.org' })
      await once(socket, 'secureConnect')
      assert.equal(socket.authorized, true)
      socket.destroy()
    } finally {
      server.close()
    }
  })
}

test('a CA whose kind of key cannot be signed with is named', async () => {
  const read = (name: string) => readFileSync(join(import.meta.dirname, 'testdata', name), 'utf8')
  const theirs = { certificate: read('secp256k1-ca.pem'), privateKey: read('secp256k1-ca.key.pem') }
  assert.match(authorityTrouble(theirs, NOW) ?? '', /has a key \(ec secp256k1\)/)
  await assert.rejects(issueCertificate(theirs, NAMES, NOW), new UnknownKeyKind('ec secp256k1'))
})
