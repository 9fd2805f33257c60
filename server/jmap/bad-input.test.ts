/** Whatever a client sends, it gets an answer by the RFC's names: never serverFail, never a closed connection. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { methods } from './methods/table.ts'
import { startJmap } from './testing/jmap.ts'

const ROUNDS = 600

const jmap = await startJmap()
after(() => jmap[Symbol.asyncDispose]())
const { emailId, blobId: hash } = await jmap.deliver('From: a@b.example\nSubject: x\n\nhello\n')
const inbox = await jmap.mailbox('inbox')

/** The same sequence at each run (mulberry32). */
let seed = 42
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const oneOf = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]

const STRINGS = [
  '',
  emailId,
  inbox,
  'e9007199254740993',
  't1',
  '#x',
  'x\0y',
  '\ud800',
  'é'.repeat(300),
  `B${hash}`,
  `B${hash}-1_2`,
  'header:From:asAddresses',
  'id',
  '9'.repeat(18),
  '-1',
  '%_\\',
  "'; --",
  '2026-01-01T00:00:00Z',
]
const NAMES = [
  'operator',
  'conditions',
  'inMailbox',
  'text',
  'header',
  'before',
  'minSize',
  'hasKeyword',
  'mailboxIds',
  'keywords',
  'subject',
  'to',
  'bodyStructure',
  'bodyValues',
  'textBody',
  'attachments',
  'name',
  'parentId',
  'role',
  'emailId',
  'identityId',
  'envelope',
  'header:X-A',
  '__proto__',
  'constructor',
]
/** Arguments by method kind; others get them all. */
const ARGUMENTS: Record<string, string[]> = {
  get: ['ids', 'properties'],
  query: ['filter', 'sort', 'position', 'anchor', 'limit', 'calculateTotal'],
  set: ['create', 'update', 'destroy'],
  changes: ['sinceState', 'maxChanges'],
  parse: ['blobIds', 'properties'],
  import: ['emails'],
}

function anything(depth = 0): unknown {
  const choice = depth > 3 ? 0 : random()
  if (choice < 0.35) return oneOf(STRINGS)
  if (choice < 0.45) return oneOf([0, 1, -1, 1e15, 2 ** 53, 1.5])
  if (choice < 0.55) return oneOf([true, false, null])
  const count = Math.floor(random() * 4)
  if (choice < 0.7) return Array.from({ length: count }, () => anything(depth + 1))
  const name = () => String(random() < 0.7 ? oneOf(NAMES) : oneOf(STRINGS))
  return Object.fromEntries(Array.from({ length: count }, () => [name(), anything(depth + 1)]))
}

/** Mostly of the right shape, so that it gets past the first check. */
function argument(name: string): unknown {
  if (random() < 0.1) return anything()
  switch (name) {
    case 'ids':
    case 'destroy':
      return [emailId, oneOf(STRINGS)]
    case 'blobIds':
      return [`B${hash}`, oneOf(STRINGS)]
    case 'properties':
      return random() < 0.7 ? null : [oneOf(STRINGS)]
    case 'filter':
      return { [String(oneOf(NAMES.slice(2, 8)))]: anything(2), text: oneOf(STRINGS) }
    case 'sort':
      return [{ property: oneOf(['receivedAt', 'subject', 'hasKeyword']), keyword: oneOf([undefined, '$seen', 'x\0']) }]
    case 'create':
    case 'emails':
      return { a: { mailboxIds: { [inbox]: true }, [String(oneOf(NAMES))]: anything(1), blobId: oneOf(STRINGS) } }
    case 'update':
      return {
        [String(oneOf([emailId, inbox]))]: {
          [`${oneOf(['keywords', 'mailboxIds', 'name'])}/${oneOf(STRINGS)}`]: oneOf([true, null]),
        },
      }
    default:
      return oneOf([0, 1, -5, 9e15, ...STRINGS])
  }
}

test(`${ROUNDS} method calls with arguments that nobody means`, async () => {
  const names = [...methods.keys()]
  const results = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round += 10) {
    const calls = Array.from({ length: 10 }, (_, index): [string, Record<string, unknown>, string] => {
      const name = names[(round + index) % names.length] ?? ''
      const known = (ARGUMENTS[name.split('/')[1] ?? ''] ?? []).filter(() => random() < 0.6)
      return [
        name,
        { accountId: jmap.alice, ...Object.fromEntries(known.map((key) => [key, argument(key)])) },
        `${index}`,
      ]
    })
    for (const [name, { type }, callId] of await jmap.calls(...calls)) {
      const result = name === 'error' ? String(type) : 'ok'
      assert.notEqual(result, 'serverFail', JSON.stringify(calls[Number(callId)]))
      results.set(result, (results.get(result) ?? 0) + 1)
    }
  }
  assert.ok((results.get('ok') ?? 0) > ROUNDS / 5, `many get past the first check: ${JSON.stringify([...results])}`)
})
