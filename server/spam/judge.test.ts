import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import type { EngineConfig, EngineConfigInput } from '../config.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/pool.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import type { SenderAuthResults } from '../senderauth/types.ts'
import { testConfig } from '../smtp/testing/fakes.ts'
import { clientNetwork } from './greylist.ts'
import { createSpamJudge } from './judge.ts'
import { createRateCounter } from './rate-counter.ts'
import { judgeHits } from './verdict.ts'

const logger = pino({ level: 'silent' })
let postgres: TestPostgres
let db: Database
let time = Date.parse('2026-03-01T12:00:00Z')

before(async () => {
  postgres = await startTestPostgres()
  await migrate({ url: postgres.url, logger })
  db = await openDatabase({ url: postgres.url, connections: 5, logger })
})
after(async () => {
  await db[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(() => db.query('truncate greylist, rate_window'))

const now = () => new Date(time)
const resolver = {
  resolve4: async (name: string) => {
    if (name === '7.2.0.192.list.example') return ['127.0.0.2']
    throw Object.assign(new Error('query ENOTFOUND'), { code: 'ENOTFOUND' })
  },
} as unknown as DnsResolver

type Spam = NonNullable<EngineConfigInput['spam']>
const partsOf = (config: EngineConfig) => ({
  config,
  db,
  rateCounter: createRateCounter({ db, now }),
  resolver,
  logger,
  now,
})
function judgeWith(spam: Spam, config: EngineConfig = testConfig({ spam })) {
  return createSpamJudge(partsOf(config))
}
const attempt = (change: object = {}) => ({
  clientAddress: '192.0.2.7',
  helo: 'mail.example.net',
  reversePath: 'joe@example.net',
  recipient: 'ann@example.org',
  firstRecipient: true,
  ...change,
})
const SENDER_AUTH: SenderAuthResults = {
  spf: { result: 'pass', domain: 'example.net' },
  dkim: [],
  dmarc: { result: 'none', policy: undefined, domain: '' },
  arc: { result: 'none' },
  header: '',
}
const CLEAN =
  'From: joe@example.net\r\nTo: ann@example.org\r\nSubject: Lunch?\r\nMessage-ID: <1@example.net>\r\nDate: Sun, 1 Mar 2026 11:58:00 +0000\r\n\r\nShall we?\r\n'
const message = (raw = CLEAN, change: object = {}) => ({
  raw: Buffer.from(raw),
  clientAddress: '192.0.2.7',
  helo: 'mail.example.net',
  reversePath: 'joe@example.net',
  recipients: ['ann@example.org'],
  receivedAt: now(),
  tls: true,
  senderAuth: SENDER_AUTH,
  ...change,
})

test('greylisting: refused at first and too early, passed later, known from then on, on every replica', async () => {
  const spam = { greylisting: { enabled: true, delayMs: 60_000, retryWindowMs: 3_600_000, passForMs: 86_400_000 } }
  const one = judgeWith(spam)
  const two = judgeWith(spam)
  const reason = async (judge = one, change: object = {}) => (await judge.admit(attempt(change)))?.reason
  assert.equal(await reason(), 'greylist')
  time += 59_000
  assert.equal(await reason(two), 'greylist')
  time += 1_000
  assert.equal(await reason(two, { clientAddress: '192.0.2.200', recipient: 'Ann@example.org' }), undefined) // same /24
  assert.equal(await reason(one), undefined)
  assert.equal(await reason(one, { reversePath: 'eve@example.net' }), 'greylist')
  assert.equal(await reason(one, { clientAddress: '198.51.100.1' }), 'greylist')
  time += 86_400_000 // passForMs after its last mail it is a stranger again
  assert.equal(await reason(), 'greylist')
})

test('greylisting: a first attempt is forgotten when no retry comes', async () => {
  const judge = judgeWith({ greylisting: { enabled: true, delayMs: 60_000, retryWindowMs: 3_600_000 } })
  await judge.admit(attempt())
  time += 3_600_000
  assert.equal((await judge.admit(attempt()))?.reason, 'greylist')
  time += 60_000
  assert.equal(await judge.admit(attempt()), undefined)
})

for (const [address, network] of [
  ['192.0.2.77', '192.0.2.0/24'],
  ['::ffff:192.0.2.77', '192.0.2.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
] as const)
  test(`greylisting: ${address} stands for ${network}`, () => assert.equal(clientNetwork(address), network))

test('rate limit: messages, not recipients, per address and minute, over all replicas', async () => {
  time = Date.parse('2026-03-02T12:00:00Z')
  const one = judgeWith({ rateLimit: { messagesPerAddressPerMinute: 2 } })
  const two = judgeWith({ rateLimit: { messagesPerAddressPerMinute: 2 } })
  assert.equal(await one.admit(attempt()), undefined)
  assert.equal(await one.admit(attempt({ firstRecipient: false })), undefined)
  assert.equal(await two.admit(attempt()), undefined)
  assert.equal((await one.admit(attempt()))?.reason, 'rate_limit')
  assert.equal(await one.admit(attempt({ clientAddress: '192.0.2.8' })), undefined)
  time += 30_000 + 60_000 // half of the window before still counts
  assert.equal(await one.admit(attempt()), undefined)
  time += 120_000
  assert.equal(await one.admit(attempt()), undefined)
})

for (const [what, spam, raw, action, score] of [
  ['clean mail', {}, CLEAN, 'accept', -0.1],
  ['a listed client', { dnsbl: [{ zone: 'list.example', score: 4 }] }, CLEAN, 'accept', 3.9],
  [
    'a listed client and a rule',
    { dnsbl: [{ zone: 'list.example', score: 4 }], rules: ['meta X RCVD_IN_LIST_EXAMPLE\nscore X 2'] },
    CLEAN,
    'junk',
    5.9,
  ],
  ['a lower threshold', { requiredScore: -1 }, CLEAN, 'junk', -0.1],
  [
    'GTUBE',
    {},
    CLEAN.replace('Shall we?', 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'),
    'reject',
    999.9,
  ],
] satisfies [string, Spam, string, string, number][])
  test(`verdict: ${what} is ${action}`, async () => {
    time = Date.parse('2026-03-01T12:00:00Z')
    const verdict = await judgeWith(spam).judge(message(raw))
    assert.equal(verdict.action, action)
    assert.equal(verdict.score, score)
  })

const hits = [
  { name: 'A_RULE', score: 4.25, description: 'a' },
  { name: 'B_RULE', score: 2.05, description: 'b' },
]
const thresholds = { requiredScore: 5, rejectScore: 15 }
test('verdict: SpamAssassin’s fields, folded, without anything a stranger wrote', () => {
  assert.equal(
    judgeHits(hits, SENDER_AUTH, thresholds).header,
    'X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=6.3 required=5.0\r\n\ttests=A_RULE,\r\n\tB_RULE\r\nX-Spam-Level: ******\r\n',
  )
  assert.equal(
    judgeHits([], SENDER_AUTH, thresholds).header,
    'X-Spam-Status: No, score=0.0 required=5.0\r\n\ttests=none\r\n',
  )
})

for (const [what, result, policy, arc, action] of [
  ['p=reject', 'fail', 'reject', 'none', 'reject'],
  ['p=reject after a forwarder with ARC', 'fail', 'reject', 'pass', 'junk'],
  ['p=quarantine', 'fail', 'quarantine', 'none', 'junk'],
  ['p=none', 'fail', 'none', 'none', 'accept'],
  ['DNS trouble', 'temperror', 'reject', 'none', 'accept'],
  ['passing', 'pass', 'reject', 'none', 'accept'],
] as const)
  test(`verdict: DMARC ${what} is ${action}`, () => {
    const senderAuth = { ...SENDER_AUTH, dmarc: { result, policy, domain: 'example.net' }, arc: { result: arc } }
    const verdict = judgeHits([], senderAuth, thresholds)
    assert.equal(verdict.action, action)
    assert.equal(verdict.reason, action === 'reject' ? 'dmarc' : undefined)
  })

test('changed rules take effect with the next message; a line that is not understood costs itself alone', async () => {
  const config = testConfig({})
  const metrics = new Registry()
  const judge = createSpamJudge({ ...partsOf(config), metrics })
  const found = async () => (await judge.judge(message())).tests.map(({ name }) => name)
  const mistakes = async () => (await metrics.getMetricsAsJSON()).map(({ values }) => values[0]?.value)
  assert.ok(!(await found()).includes('MINE'))
  config.spam.rules = ['header MINE Subject =~ /Lunch/']
  assert.ok((await found()).includes('MINE'))
  config.spam.rules = ['body BAD /a++/\nheader MY_OWN Subject =~ /Lunch/']
  assert.deepEqual(await mistakes(), [1], 'counted before there is a message')
  const now = await found()
  assert.deepEqual([now.includes('MINE'), now.includes('MY_OWN')], [false, true])
  // A process that starts now, and has never seen the rules from before, judges the same.
  assert.deepEqual(
    (await createSpamJudge(partsOf(config)).judge(message())).tests.map(({ name }) => name),
    now,
  )
  config.spam.rules = []
  assert.ok(!(await found()).includes('MY_OWN'))
  assert.deepEqual(await mistakes(), [0])
})
