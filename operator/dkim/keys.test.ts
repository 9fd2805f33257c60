import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { dkimKeyOf, generateDkimKey, UnusableKey } from './keys.ts'

const data = Buffer.from('signed')
const published = (txt: string) => Buffer.from(/p=(\S+)/.exec(txt)?.[1] ?? '', 'base64')

test('an RSA key is published as SubjectPublicKeyInfo that verifies its signatures (RFC 6376 §3.6.1)', async () => {
  const { privatePem, txt } = await generateDkimKey('rsa2048')
  assert.match(txt, /^v=DKIM1; k=rsa; p=[A-Za-z0-9+/]+={0,2}$/)
  const publicKey = createPublicKey({ key: published(txt), format: 'der', type: 'spki' })
  assert.equal(publicKey.asymmetricKeyDetails?.modulusLength, 2048)
  assert.ok(verify('sha256', data, publicKey, sign('sha256', data, privatePem)))
})

test('an Ed25519 key is published as its bare 32 bytes (RFC 8463 §4)', async () => {
  const { privatePem, txt } = await generateDkimKey('ed25519')
  assert.match(txt, /^v=DKIM1; k=ed25519; p=/)
  assert.equal(published(txt).length, 32)
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: published(txt).toString('base64url') }
  assert.ok(verify(null, data, createPublicKey({ key: jwk, format: 'jwk' }), sign(null, data, privatePem)))
})

test('an imported PKCS#1 key has the same record', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const as = (type: 'pkcs1' | 'pkcs8') => privateKey.export({ type, format: 'pem' }).toString()
  assert.equal(dkimKeyOf(as('pkcs1')).txt, dkimKeyOf(as('pkcs8')).txt)
})

for (const [what, pem] of [
  ['no PEM', 'hello'],
  ['an empty text', ''],
  [
    'an EC key',
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ],
  [
    'a 512 bit RSA key',
    generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ],
  [
    'an encrypted key',
    generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString(),
  ],
] as const) {
  test(`${what} is refused`, () => assert.throws(() => dkimKeyOf(pem), UnusableKey))
}
