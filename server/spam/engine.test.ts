import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SenderAuthResults } from '../senderauth/types.ts'
import { createBoundedRunner } from './bounded.ts'
import { type Hit, runRules } from './engine.ts'
import { viewMessage } from './message-view.ts'
import { parseRules, type Rule } from './rule-language.ts'
import { readBuiltInRules } from './rule-set.ts'

const run = createBoundedRunner()
const limits = { mimeDepth: 20, mimeParts: 100, headerBytes: 100_000 }
const NO_AUTH: SenderAuthResults = {
  spf: { result: 'none', domain: '' },
  dkim: [],
  dmarc: { result: 'none', policy: undefined, domain: '' },
  arc: { result: 'none' },
  header: '',
}
const MESSAGE = [
  'From: "Joe Doe" <joe@example.net>',
  'To: ann@example.org',
  'Cc: bob@example.org',
  'Subject: =?utf-8?q?Caf=C3=A9?= offer',
  'Message-ID: <1@example.net>',
  'Date: Sun, 1 Mar 2026 12:00:00 +0000',
  'X-Two: one',
  'X-Two: two',
  'MIME-Version: 1.0',
  'Content-Type: multipart/alternative; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Buy =',
  'now, na=C3=AFve reader!',
  'Same paragraph, see http://shop.example/x?y=1.',
  '',
  'cheap cheap cheap',
  '--b',
  'Content-Type: text/html',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.from('<p>Hello <b>bold</b></p><a href="https://192.0.2.1/a&amp;b">go</a>').toString('base64'),
  '--b--',
  '',
].join('\r\n')

interface Given {
  message?: string
  senderAuth?: Partial<SenderAuthResults>
  helo?: string
  given?: Hit[]
}

function hitsOf(
  rules: Rule[],
  { message = MESSAGE, senderAuth = {}, helo = 'mail.example.net', given = [] }: Given = {},
) {
  const raw = Buffer.from(message)
  const reversePath = 'bounce@example.net'
  const facts = {
    message: viewMessage(raw, limits, reversePath),
    clientAddress: '192.0.2.7',
    helo,
    reversePath,
    recipients: ['ann@example.org'],
    receivedAt: new Date('2026-03-01T12:00:00Z'),
    tls: false,
    senderAuth: { ...NO_AUTH, ...senderAuth },
  }
  return runRules(rules, facts, given, run).hits
}
const parse = (text: string) => parseRules([{ file: 'test.cf', text }])
const rulesOf = (text: string) => parse(text).rules
const namesOf = (named: readonly { name: string }[]) => named.map(({ name }) => name)

for (const [rule, hit] of [
  ['header T Subject =~ /Caf\u00e9 offer/', true],
  ['header T subject =~ /offer$/', true],
  ['header T Subject:raw =~ /=\\?utf-8\\?q\\?/', true],
  ['header T Subject =~ /utf-8/', false],
  ['header T Subject !~ /offer/', false],
  ['header T X-None !~ /x/', true],
  ['header T X-None =~ /^$/', true],
  ['header T X-None =~ /UNSET/ [if-unset: UNSET]', true],
  ['header T From:addr =~ /^joe@example\\.net$/', true],
  ['header T From:name =~ /^Joe Doe$/', true],
  ['header T From:name:raw =~ /^Joe Doe$/', true],
  ['header T ToCc =~ /ann@.*\\n.*bob@/', true],
  ['header T EnvelopeFrom =~ /^bounce@/', true],
  ['header T MESSAGEID =~ /<1@/', true],
  ['header T X-Two =~ /one\\ntwo/', true],
  ['header T ALL =~ /^X-Two: two$/m', true],
  ['header T exists:Cc', true],
  ['header T exists:Bcc', false],
  ['header T Subject =~ m{offer}', true],
  ['header T Subject =~ m!OFFER!i', true],
  ['body T /na\u00efve reader! Same paragraph/', true],
  ['body T /Caf\u00e9 offer/', true],
  ['body T /Hello bold/', true],
  ['body T /reader.*cheap/', false],
  ['body T /<b>/', false],
  ['rawbody T /<b>bold<\\/b>/', true],
  ['rawbody T /^Same paragraph/m', true],
  ['full T /Content-Transfer-Encoding: base64\\r\\n/', true],
  ['uri T m{^http://shop\\.example/x\\?y=1$}', true],
  ['uri T m{^https://192\\.0\\.2\\.1/a&b$}', true],
  ['uri T /y=1\\./', false],
  ['meta T 1 + 1 == 2', true],
  ['meta T (0 || 0) && 1', false],
  ['meta T !NOT_THERE', true],
  ['meta T 2 * 3 > 5 && 4 / 2 <= 2', true],
  ['meta T 1 - 1 - 1', true],
  ['meta T 5 - 2 * 2 - 1', false],
] as const)
  test(`${rule} ${hit ? 'hits' : 'does not hit'}`, () => {
    assert.equal(
      hitsOf(rulesOf(rule)).some(({ name }) => name === 'T'),
      hit,
    )
  })

test('meta rules count, whatever the order, and __ rules are silent', () => {
  const rules = rulesOf(`
meta  BOTH (__A + __B + MANY) >= 5
score BOTH 2.5
body  MANY /cheap/
tflags MANY multiple maxhits=3
score MANY 0.1
body  __A /buy now/i
header __B exists:To`)
  assert.deepEqual(
    hitsOf(rules).map(({ name, score }) => [name, score]),
    [
      ['MANY', 0.3],
      ['BOTH', 2.5],
    ],
  )
})

for (const [what, lines, score] of [
  ['no score line: 1', '', 1],
  ['nice: -1', 'tflags T nice', -1],
  ['one score', 'score T 3.5', 3.5],
  ['four scores: DNS and no Bayes', 'score T 1 2 3 4', 2],
  ['relative to the one before', 'score T 2\nscore T (-0.5)', 1.5],
  ['zero is a score', 'score T 0', 0],
  ['a later score wins', 'score T 2\nscore T 3', 3],
] as const)
  test(`score: ${what}`, () => assert.equal(hitsOf(rulesOf(`meta T 1\n${lines}`))[0]?.score, score))

test('if, else, ifplugin and comments', () => {
  const rules = rulesOf(`
meta A 1 # a comment
if (version >= 3.004000)
  meta B 1
else
  frobnicate this
endif
ifplugin Mail::SpamAssassin::Plugin::NoSuch
  whatever C
  if (version < 1)
  endif
else
  meta D 1
endif
if !plugin(Mail::SpamAssassin::Plugin::SPF)
  meta E 1
endif
if can(Mail::SpamAssassin::Conf::something)
  meta F 1
endif
header G Subject =~ /offer\\#?/`)
  assert.deepEqual(
    hitsOf(rules).map(({ name }) => name),
    ['A', 'B', 'D', 'G'],
  )
})

for (const [line, want] of [
  ['body T /a++/', /^test\.cf:2: the expression has no translation: possessive/],
  ['body T a', /^test\.cf:2: an expression in slashes is missing/],
  ['body T /a/e', /^test\.cf:2: .*flag "e"/],
  ['header T Subject', /^test\.cf:2: a header rule needs/],
  ['header T eval:check_for_magic()', /^test\.cf:2: eval:check_for_magic is not supported/],
  ['meta T (A', /^test\.cf:2: "\)" is missing/],
  ['meta T A &&', /^test\.cf:2: ends too early/],
  ['meta T A B', /^test\.cf:2: "B" is not expected here/],
  ['score T much', /^test\.cf:2: "much" is no score/],
  ['body 1T /a/', /^test\.cf:2: "body" needs the name of a rule/],
  ['use_bayes 1', /^test\.cf:2: "use_bayes" (?:needs|is not supported)/],
  [`score T ${'9'.repeat(300)}x`, /^test\.cf:2: "9{199}…$/],
  ['if (version > 1)', /without "endif"/],
] as const)
  test(`${JSON.stringify(line).slice(0, 80)} is a mistake that names its line, and the lines around it count`, () => {
    const { rules, mistakes } = parse(`meta BEFORE 1\n${line}\nmeta AFTER 1`)
    assert.equal(mistakes.length, 1)
    assert.match(mistakes[0] ?? '', want)
    assert.deepEqual(namesOf(rules), ['BEFORE', 'AFTER'])
  })

test('a mistake in a second definition leaves the first one in force', () => {
  const { rules, mistakes } = parse('body T /offer/\nbody T offer\nmeta U T')
  assert.deepEqual(mistakes, ['test.cf:2: an expression in slashes is missing'])
  assert.deepEqual(namesOf(hitsOf(rules)), ['T', 'U'])
})

test('a meta that asks for a rule that is left out is left out too', () => {
  const { rules, mistakes } = parse('body GOOD good\nmeta BAD !GOOD\nmeta WORSE BAD || 1\nmeta OTHER !NOWHERE')
  assert.deepEqual(mistakes, [
    'test.cf:1: an expression in slashes is missing',
    'test.cf:2: BAD asks for GOOD, which is left out',
    'test.cf:3: WORSE asks for BAD, which is left out',
  ])
  assert.deepEqual(namesOf(rules), ['OTHER'])
})

test('metas that ask for each other are left out', () => {
  const { rules, mistakes } = parse('meta T U\nmeta U T\nmeta V 1\nmeta W W')
  assert.deepEqual(mistakes, [
    'test.cf:2: U asks for T, which asks for it in turn',
    'test.cf:1: T asks for U, which is left out',
    'test.cf:4: W asks for W, which asks for it in turn',
  ])
  assert.deepEqual(namesOf(rules), ['V'])
})

test('a deep meta is a mistake, not a stack overflow', () => {
  assert.match(parse(`meta T ${'('.repeat(5000)}1${')'.repeat(5000)}`).mistakes[0] ?? '', /^test\.cf:1: too long/)
  const chain = Array.from({ length: 19_000 }, (_, index) => `meta T${index} T${index + 1}`)
  assert.match(parse(chain.join('\n')).mistakes[0] ?? '', /^test\.cf:100: T99 asks for T100, which is behind 100 other/)
})

test('an expression that never ends is ended, blamed and left out; rules before it count', () => {
  const rules = rulesOf('body GOOD /aaa/\nbody BAD /^(a+)+$/\nbody AFTER /aaa/')
  const message = viewMessage(Buffer.from(`Subject: x\r\n\r\n${'a'.repeat(60)}b`), limits, '')
  const facts = {
    message,
    clientAddress: '',
    helo: '',
    reversePath: '',
    recipients: [],
    receivedAt: new Date(),
    tls: false,
    senderAuth: NO_AUTH,
  }
  const first = runRules(rules, facts, [], run, { budgetMs: 50 })
  assert.equal(first.overran, 'BAD')
  assert.deepEqual(
    first.hits.map(({ name }) => name),
    ['GOOD'],
  )
  const second = runRules(rules, facts, [], run, { budgetMs: 5000, skip: new Set(['BAD']) })
  assert.deepEqual(
    second.hits.map(({ name }) => name),
    ['GOOD', 'AFTER'],
  )
})

const { rules: builtIn, mistakes: builtInMistakes } = parseRules(readBuiltInRules())
const scored = builtIn.filter(({ name }) => !name.startsWith('__'))
const builtInHits = (given: Given) => hitsOf(builtIn, given).map(({ name }) => name)
const CLEAN = [
  'From: Joe <joe@example.net>',
  'To: ann@example.org',
  'Subject: Lunch on Sunday?',
  'Message-ID: <1@example.net>',
  'Date: Sun, 1 Mar 2026 11:58:00 +0000',
  '',
  'Shall we?',
  '',
].join('\r\n')

test('every built-in rule has a description and a score', () => {
  assert.deepEqual(builtInMistakes, [])
  assert.ok(scored.length >= 25)
  for (const rule of scored) assert.ok(rule.description !== '' && rule.score !== undefined, rule.name)
})

test('ordinary mail hits nothing', () => assert.deepEqual(builtInHits({ message: CLEAN }), []))

const pass = { result: 'pass', domain: 'example.net', selector: 's', aligned: true } as const
const dmarc = (policy: 'none' | 'quarantine' | 'reject') =>
  ({ dmarc: { result: 'fail', policy, domain: 'example.net' } }) as const
const GTUBE = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

for (const [name, given] of [
  ['GTUBE', { message: CLEAN.replace('Shall we?', GTUBE) }],
  ['MISSING_DATE', { message: CLEAN.replace(/Date:.*\r\n/, '') }],
  ['INVALID_DATE', { message: CLEAN.replace(/Date:.*\r\n/, 'Date: soon\r\n') }],
  ['DATE_IN_PAST_96_XX', { message: CLEAN.replace('1 Mar 2026', '20 Feb 2026') }],
  ['DATE_IN_FUTURE_24_48', { message: CLEAN.replace('1 Mar 2026', '3 Mar 2026') }],
  ['DATE_IN_FUTURE_48_XX', { message: CLEAN.replace('1 Mar 2026', '9 Mar 2026') }],
  ['MISSING_FROM', { message: CLEAN.replace(/From:.*\r\n/, '') }],
  ['MISSING_MID', { message: CLEAN.replace(/Message-ID:.*\r\n/, '') }],
  ['INVALID_MSGID', { message: CLEAN.replace('<1@example.net>', 'none') }],
  ['MISSING_SUBJECT', { message: CLEAN.replace(/Subject:.*\r\n/, '') }],
  ['MISSING_HEADERS', { message: CLEAN.replace(/To:.*\r\n/, '') }],
  ['SUBJ_ALL_CAPS', { message: CLEAN.replace('Lunch on Sunday', 'LUNCH ON SUNDAY') }],
  ['FROM_NAME_OTHER_ADDR', { message: CLEAN.replace('Joe <', '"ceo@bank.example" <') }],
  ['FROM_TWO_FIELDS', { message: CLEAN.replace('To:', 'From: x@y.example\r\nTo:') }],
  ['FORGED_OUR_HELO', { message: CLEAN, helo: 'Example.org' }],
  ['SPF_PASS', { message: CLEAN, senderAuth: { spf: { result: 'pass', domain: '' } } }],
  ['SPF_FAIL', { message: CLEAN, senderAuth: { spf: { result: 'fail', domain: '' } } }],
  ['SPF_SOFTFAIL', { message: CLEAN, senderAuth: { spf: { result: 'softfail', domain: '' } } }],
  ['DKIM_VALID_AU', { message: CLEAN, senderAuth: { dkim: [pass] } }],
  ['DKIM_INVALID', { message: CLEAN, senderAuth: { dkim: [{ ...pass, result: 'fail' }] } }],
  ['DMARC_PASS', { message: CLEAN, senderAuth: { dmarc: { result: 'pass', policy: 'reject', domain: '' } } }],
  ['DMARC_REJECT', { message: CLEAN, senderAuth: dmarc('reject') }],
  ['DMARC_QUARANTINE', { message: CLEAN, senderAuth: dmarc('quarantine') }],
  ['DMARC_NONE', { message: CLEAN, senderAuth: dmarc('none') }],
  ['MIME_HTML_ONLY', { message: CLEAN.replace('\r\n\r\n', '\r\nContent-Type: text/html\r\n\r\n') }],
  ['URI_NUMERIC_HOST', { message: CLEAN.replace('Shall we?', 'see http://192.0.2.1/x') }],
  ['URI_USERNAME', { message: CLEAN.replace('Shall we?', 'see http://bank.example@evil.example/x') }],
  ['ADVANCE_FEE', { message: CLEAN.replace('Shall we?', 'ten million dollars for the next of kin') }],
  ['PUSHY_OFFER', { message: CLEAN.replace('Shall we?', '100% free! Act now!') }],
  [
    'EXECUTABLE_FILE',
    { message: CLEAN.replace('\r\n\r\n', '\r\nContent-Type: application/x; name="invoice.pdf.exe"\r\n\r\n') },
  ],
] satisfies [string, Given][])
  test(`built-in ${name} hits`, () => assert.ok(builtInHits(given).includes(name), builtInHits(given).join()))
