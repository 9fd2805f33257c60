import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { issueCertificate, isUsableAuthority, makeAuthority, needsRenewal, readCertificate } from './authority.ts'

const NOW = new Date()
const NAMES = ['mail.example.org', 'mta-sts.example.org', 'localhost', '127.0.0.1', '::1']
const authority = await makeAuthority('CA of communication/stalwart', NOW)
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

test('an authority is good until a certificate from it would end early', () => {
  assert.equal(isUsableAuthority(authority, NOW), true)
  assert.equal(isUsableAuthority(authority, inDays(3650 - 300)), false)
  assert.equal(isUsableAuthority({ ...authority, privateKey: pair.privateKey }, NOW), false)
  assert.equal(isUsableAuthority(pair, NOW), false)
})
