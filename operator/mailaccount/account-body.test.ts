import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mailAccountSpec } from '../api/mail-account.ts'
import { accountBody, bodyHash, quotaBytes, usageText } from './account-body.ts'

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

test('the hash changes with the password, the server and the token, so it tells nobody the password', () => {
  const hashes = [
    bodyHash(accountBody(spec, 'p'), 'uid', 'token'),
    bodyHash(accountBody(spec, 'q'), 'uid', 'token'),
    bodyHash(accountBody(spec, 'p'), 'uid2', 'token'),
    bodyHash(accountBody(spec, 'p'), 'uid', 'token2'),
  ]
  assert.equal(new Set(hashes).size, 4)
  assert.equal(hashes[0], bodyHash(accountBody(spec, 'p'), 'uid', 'token'))
})

for (const [used, quota, want] of [
  [0, undefined, '0 B'],
  [999, undefined, '999 B'],
  [3_400_000, undefined, '3.4 MB'],
  [536_870_912, 1_073_741_824, '50%'],
] as const) {
  test(`${used} bytes of ${quota ?? 'no quota'} read "${want}"`, () => assert.equal(usageText(used, quota), want))
}
