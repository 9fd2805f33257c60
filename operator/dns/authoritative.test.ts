import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AuthoritativeDeps, confirmAuthoritative } from './authoritative.ts'
import type { Lookups, VerifiedRecord } from './verify.ts'

const fail = (code: string) => async () => Promise.reject(Object.assign(new Error(code), { code }))
const KEY = 'v=DKIM1; k=rsa; p=AAAA'
const record: VerifiedRecord = {
  type: 'TXT',
  name: 'new._domainkey.mail.example.org',
  value: KEY,
  domain: 'mail.example.org',
  state: 'Published',
}

/** @param servers what the name server at each address says of the key */
const deps = (servers: Record<string, () => Promise<string[][]>>): AuthoritativeDeps => ({
  lookups: {
    resolveNs: async (name) =>
      name === 'example.org' ? Object.keys(servers).map((_, index) => `ns${index}.example.org`) : fail('ENODATA')(),
    resolve4: async (name) => [Object.keys(servers)[Number(name[2])] ?? ''],
  },
  at: (address) => ({ resolveTxt: servers[address] }) as unknown as Lookups,
})
const states = async (servers: Record<string, () => Promise<string[][]>>, given = record) =>
  (await confirmAuthoritative([given], deps(servers))).map(({ state, found }) => [state, found])

test('a record that every name server of the zone above has is published', async () => {
  assert.deepEqual(
    await states({ '192.0.2.1': async () => [[KEY]], '192.0.2.2': async () => [['v=DKIM1; k=rsa; ', 'p=AAAA']] }),
    [['Published', undefined]],
  )
})

test('one server that lacks it is enough to wait', async () => {
  assert.deepEqual(await states({ '192.0.2.1': async () => [[KEY]], '192.0.2.2': fail('ENOTFOUND') }), [
    ['Missing', 'name server 192.0.2.2: no such record'],
  ])
  assert.deepEqual(await states({ '192.0.2.1': async () => [['v=DKIM1; p=OLD']] }), [
    ['Mismatch', 'name server 192.0.2.1: v=DKIM1; p=OLD'],
  ])
})

test('servers that cannot be asked do not count, nor a zone without any', async () => {
  assert.deepEqual(await states({ '192.0.2.1': fail('ETIMEOUT') }), [['Published', undefined]])
  assert.deepEqual(await states({}), [['Published', undefined]])
})

test('a server that does not answer is not waited for with each of many keys', async () => {
  let asked = 0
  const silent = async () => {
    asked += 1
    return fail('ETIMEOUT')()
  }
  const keys = Array.from({ length: 100 }, (_, index) => ({ ...record, name: `k${index}._domainkey.mail.example.org` }))
  const servers = { '192.0.2.1': silent, '192.0.2.2': async () => [['v=DKIM1; p=OLD']] }
  const confirmed = await confirmAuthoritative(keys, deps(servers))
  assert.ok(confirmed.every(({ state }) => state === 'Mismatch'))
  // Two silences, and those that were on their way at the same time.
  assert.ok(asked <= 2 + 8, `${asked} times`)
})

test('what is not even published is not asked about', async () => {
  const missing: VerifiedRecord = { ...record, state: 'Missing' }
  assert.deepEqual(await states({ '192.0.2.1': async () => assert.fail('asked') }, missing), [['Missing', undefined]])
})
