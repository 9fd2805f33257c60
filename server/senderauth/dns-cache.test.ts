import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withDnsCache } from './dns-cache.ts'
import type { DnsResolver } from './resolver.ts'

function counting(outcome: () => Promise<unknown>) {
  let asked = 0
  const ask = () => {
    asked++
    return outcome()
  }
  const resolver = {
    resolve: ask,
    resolve4: ask,
    resolve6: ask,
    resolveMx: ask,
    resolveTxt: ask,
  } as unknown as DnsResolver
  return { resolver, asked: () => asked }
}

const failure = (code: string) => Promise.reject(Object.assign(new Error(code), { code }))

test('an answer serves everybody for ten seconds, by name and type, whatever the case', async () => {
  let time = 0
  const dns = counting(async () => [['v=spf1 -all']])
  const cached = withDnsCache(dns.resolver, () => time)
  await Promise.all([cached.resolve('example.net', 'TXT'), cached.resolve('Example.NET', 'TXT')])
  assert.equal(dns.asked(), 1)
  await cached.resolve('example.net', 'MX')
  await cached.resolve('other.example', 'TXT')
  assert.equal(dns.asked(), 3)
  time = 10_001
  await cached.resolve('example.net', 'TXT')
  assert.equal(dns.asked(), 4)
})

for (const [code, asked] of [
  ['ENOTFOUND', 1],
  ['ENODATA', 1],
  ['ETIMEOUT', 2],
  ['ESERVFAIL', 2],
] as const) {
  test(`${code} ${asked === 1 ? 'is an answer' : 'is asked again'}`, async () => {
    const dns = counting(() => failure(code))
    const cached = withDnsCache(dns.resolver, () => 0)
    for (let times = 0; times < 2; times++) await assert.rejects(cached.resolveMx('example.net'), { code })
    assert.equal(dns.asked(), asked)
  })
}
