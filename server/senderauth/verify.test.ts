import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import type { DnsResolver } from './resolver.ts'
import { signMessage } from './sign.ts'
import type { SigningKey } from './types.ts'
import { createSenderAuth } from './verify.ts'

const pem = { type: 'pkcs8', format: 'pem' } as const
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed25519 = generateKeyPairSync('ed25519')
const rsaPublic = rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
const ed25519Public = ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')
const KEYS: SigningKey[] = [
  {
    domain: 'example.net',
    selector: 'default',
    algorithm: 'rsa-sha256',
    privateKey: String(rsa.privateKey.export(pem)),
  },
  {
    domain: 'example.net',
    selector: 'ed',
    algorithm: 'ed25519-sha256',
    privateKey: String(ed25519.privateKey.export(pem)),
  },
]
const MESSAGE = Buffer.from(
  'From: Joe <joe@example.net>\r\nTo: ann@example.org\r\nSubject:  two   spaces\r\n\r\nHello  there \r\n\r\n\r\n',
)

/** TXT records by name; 'fail' is a server failure, 'silent' never answers, everything else does not exist. */
function dns(records: Record<string, string>): DnsResolver {
  const resolve = async (name: string, type: string): Promise<string[][]> => {
    const record = records[name]
    if (record === 'silent') return new Promise(() => undefined)
    if (record === 'fail') throw Object.assign(new Error('query ESERVFAIL'), { code: 'ESERVFAIL' })
    if (type === 'TXT' && record !== undefined) return [[record]]
    throw Object.assign(new Error('query ENOTFOUND'), { code: 'ENOTFOUND' })
  }
  return { resolve } as unknown as DnsResolver
}

const RECORDS = {
  'example.net': 'v=spf1 ip4:192.0.2.0/24 -all',
  'default._domainkey.example.net': `v=DKIM1; k=rsa; p=${rsaPublic}`,
  'ed._domainkey.example.net': `v=DKIM1; k=ed25519; p=${ed25519Public}`,
  '_dmarc.example.net': 'v=DMARC1; p=reject',
}

async function verified(options: {
  records?: Record<string, string>
  raw?: Buffer
  clientAddress?: string
  reversePath?: string
  /** Where it is to come; else it does not, however slow the machine. */
  deadlineMs?: number
}) {
  const senderAuth = createSenderAuth({
    hostname: () => 'mx.example.org',
    resolver: dns(options.records ?? RECORDS),
    deadlineMs: options.deadlineMs ?? 60_000,
  })
  return senderAuth.verify({
    raw: options.raw ?? MESSAGE,
    clientAddress: options.clientAddress ?? '192.0.2.7',
    helo: 'mail.example.net',
    reversePath: options.reversePath ?? 'joe@example.net',
  })
}

const signed = async () => Buffer.concat([Buffer.from(await signMessage(MESSAGE, KEYS)), MESSAGE])

for (const [what, options, want] of [
  ['from its own address', {}, 'spf=pass dkim= dmarc=pass/reject'],
  ['from a stranger’s address', { clientAddress: '198.51.100.1' }, 'spf=fail dkim= dmarc=fail/reject'],
  ['without any records', { records: {} }, 'spf=none dkim= dmarc=none/undefined'],
  [
    'with DNS failing',
    { records: { ...RECORDS, 'example.net': 'fail', '_dmarc.example.net': 'fail' } },
    'spf=temperror dkim= dmarc=temperror/undefined',
  ],
  [
    'with DNS silent',
    { records: { 'example.net': 'silent', '_dmarc.example.net': 'silent' }, deadlineMs: 50 },
    'spf=temperror dkim= dmarc=temperror/undefined',
  ],
  [
    'with a broken SPF record',
    { records: { ...RECORDS, 'example.net': 'v=spf1 frob:x' } },
    'spf=permerror dkim= dmarc=fail/reject',
  ],
  [
    'with the null reverse-path',
    { reversePath: '', records: { 'mail.example.net': 'v=spf1 ip4:192.0.2.7 -all' } },
    'spf=pass dkim= dmarc=none/undefined',
  ],
] as const)
  test(`an unsigned message ${what}: ${want}`, async () => {
    const { spf, dkim, dmarc } = await verified(options)
    const found = `spf=${spf.result} dkim=${dkim.map(({ result }) => result)} dmarc=${dmarc.result}/${dmarc.policy}`
    assert.equal(found, want)
  })

test('both signatures hold, whatever the client, and DMARC passes by them', async () => {
  const { dkim, dmarc, spf, header } = await verified({ raw: await signed(), clientAddress: '198.51.100.1' })
  assert.equal(spf.result, 'fail')
  assert.deepEqual(dkim.map((one) => `${one.selector} ${one.domain} ${one.result} ${one.aligned}`).sort(), [
    'default example.net pass true',
    'ed example.net pass true',
  ])
  assert.equal(dmarc.result, 'pass')
  assert.match(
    header,
    /^Authentication-Results: mx\.example\.org;\r\n\tdkim=pass [^\r]*header\.s=\w+[\s\S]*spf=fail[\s\S]*dmarc=pass[^\r]*header\.from=example\.net[^\r]*\r\n$/,
  )
  assert.doesNotMatch(header, /\r\n\S[\s\S]*\r\n\S/, 'one field')
})

test('a changed body is dkim=fail', async () => {
  const raw = Buffer.from((await signed()).toString().replace('Hello', 'Hullo'))
  const { dkim, header } = await verified({ raw })
  assert.deepEqual(
    dkim.map(({ result }) => result),
    ['fail', 'fail'],
  )
  assert.match(header, /dkim=fail/)
})

test('of many signatures only the first few are looked at', async () => {
  const one = await signMessage(MESSAGE, KEYS.slice(0, 1))
  const { dkim } = await verified({ raw: Buffer.concat([Buffer.from(one.repeat(50)), MESSAGE]) })
  assert.equal(dkim.length, 10)
})

test('garbage is no error', async () => {
  const { dkim } = await verified({ raw: Buffer.from('DKIM-Signature: ;;;=\0\r\nFrom: <<>>,,@\r\n\r\n') })
  assert.ok(dkim.every(({ result }) => result !== 'pass'))
})

test('signing with a broken key names the selector and not the key', () =>
  assert.rejects(
    signMessage(MESSAGE, [{ ...KEYS[0], selector: 'bad', privateKey: 'nonsense' } as SigningKey]),
    /selector bad/,
  ))

/** RFC 6376 §3.4.2 and §3.7, written anew here: relaxed header canonicalization of what h= lists, then the signature field. */
function signedBytes(field: string, message: Buffer): Buffer {
  const relaxed = (line: string) => {
    const [, name = '', value = ''] = /^([^:]+):([\s\S]*)$/.exec(line) ?? []
    return `${name.toLowerCase().trim()}:${value
      .replace(/\r\n/g, '')
      .replace(/[ \t]+/g, ' ')
      .trim()}`
  }
  const lines =
    message
      .toString()
      .split('\r\n\r\n')[0]
      ?.split(/\r\n(?![ \t])/) ?? []
  const names = /\bh=([^;]+)/.exec(field)?.[1]?.split(':') ?? []
  const listed = names.map((name) =>
    lines.findLast((line) => line.toLowerCase().startsWith(`${name.trim().toLowerCase()}:`)),
  )
  const bare = relaxed(field)
    .replace(/(;\s*b=)[^;]*/, '$1')
    .trimEnd()
  return Buffer.from([...listed.filter((line) => line !== undefined).map(relaxed), bare].join('\r\n'))
}

test('the Ed25519 signature is over the SHA-256 hash of the header (RFC 8463 §3), the RSA one over the header', async () => {
  for (const key of KEYS) {
    const field = (await signMessage(MESSAGE, [key])).trimEnd()
    const signature = Buffer.from(/;\s*b=([^;]+)/.exec(field)?.[1]?.replace(/\s/g, '') ?? '', 'base64')
    const bytes = signedBytes(field, MESSAGE)
    const holds =
      key.algorithm === 'rsa-sha256'
        ? verify('sha256', bytes, createPublicKey(rsa.publicKey.export({ type: 'spki', format: 'pem' })), signature)
        : verify(null, createHash('sha256').update(bytes).digest(), ed25519.publicKey, signature)
    assert.ok(holds, key.algorithm)
    assert.match(field, /bh=/)
  }
})
