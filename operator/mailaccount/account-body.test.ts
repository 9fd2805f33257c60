import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mailAccountSpec } from '../api/mail-account.ts'
import { accountBody, bodyHash, lasting, quotaBytes, retainedBody, usageText } from './account-body.ts'

const spec = mailAccountSpec.parse({ serverRef: { name: 's' }, address: 'a@example.org' })

for (const [quota, want] of [
  ['5Gi', 5_368_709_120],
  ['1G', 1_000_000_000],
  [1024, 1024],
  ['0', undefined],
  ['-1', undefined],
  ['many', undefined],
  ['500m', undefined],
] as const) {
  test(`a quota of ${quota} is ${want} bytes`, () => assert.equal(quotaBytes(quota), want))
}

test('what is not given is not sent', () => {
  assert.deepEqual(accountBody(spec, 'p'), { address: 'a@example.org', aliases: [], password: 'p', disabled: false })
})

test('an account that is retained keeps quota, name and password, and loses login and aliases', () => {
  const full = { ...spec, aliases: ['b@example.org'], displayName: 'A', quota: '1Gi' }
  assert.deepEqual(retainedBody(lasting(full)), {
    address: 'a@example.org',
    aliases: [],
    displayName: 'A',
    quotaBytes: 1_073_741_824,
    disabled: true,
  })
})

test('the hash changes with the password, the server and the token, so it tells nobody the password', () => {
  const hashes = [
    bodyHash(accountBody(spec, 'p'), 'uid', 'token').whole,
    bodyHash(accountBody(spec, 'q'), 'uid', 'token').whole,
    bodyHash(accountBody(spec, 'p'), 'uid2', 'token').whole,
    bodyHash(accountBody(spec, 'p'), 'uid', 'token2').whole,
  ]
  assert.equal(new Set(hashes).size, 4)
  assert.equal(hashes[0], bodyHash(accountBody(spec, 'p'), 'uid', 'token').whole)
})

test('all but the password can be compared without it', () => {
  const { withoutPassword, whole } = bodyHash(accountBody(spec, 'p'), 'uid', 'token')
  assert.equal(bodyHash(accountBody(spec, ''), 'uid', 'token').withoutPassword, withoutPassword)
  assert.ok(whole.startsWith(withoutPassword))
  const disabled = bodyHash(accountBody({ ...spec, disabled: true }, 'p'), 'uid', 'token')
  assert.notEqual(disabled.withoutPassword, withoutPassword)
})

for (const [used, quota, want] of [
  [0, undefined, '0 B'],
  [999, undefined, '999 B'],
  [3_400_000, undefined, '3.4 MB'],
  [536_870_912, 1_073_741_824, '50%'],
] as const) {
  test(`${used} bytes of ${quota ?? 'no quota'} read "${want}"`, () => assert.equal(usageText(used, quota), want))
}
