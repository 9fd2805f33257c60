/** The grammar: arguments from text, and text from values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDateTime, parseDateTime, parseSearchDate } from './dates.ts'
import { parseFetchItems } from './fetch-items.ts'
import { flagOf, keywordOf } from './flags.ts'
import { astring, nstring, string } from './format.ts'
import { BadCommand, CommandInput } from './input.ts'
import { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.ts'
import { parseSearchProgram } from './search-program.ts'
import { formatPairs, formatSet, isInRanges, parseSequenceSet, toRanges } from './sequence-set.ts'

const input = (text: string) => new CommandInput([text])

for (const [situation, text, want] of [
  ['an atom', 'INBOX', 'INBOX'],
  ['an atom with ]', 'a]b', 'a]b'],
  ['a quoted string', '"a \\"b\\" \\\\"', 'a "b" \\'],
  ['an empty string', '""', ''],
  ['UTF-8 in quotes', Buffer.from('"ü"').toString('latin1'), 'ü'],
  ['8-bit that is no UTF-8', '"\xfc"', 'ü'],
] as const) {
  test(`astring: ${situation}`, () => assert.equal(input(text).astring(), want))
}

for (const [situation, text] of [
  ['an open quote', '"abc'],
  ['a bad escape', '"a\\b"'],
  ['nothing', ''],
  ['a parenthesis', '(a'],
] as const) {
  test(`astring refuses ${situation}`, () => assert.throws(() => input(text).astring(), BadCommand))
}

test('literals stand where strings do, and nowhere else', () => {
  const literal = { bytes: Buffer.from('ü'), binary: false }
  const command = new CommandInput(['a ', literal, ' b'])
  assert.equal(command.atom(), 'a')
  command.space()
  assert.equal(command.astring(), 'ü')
  command.space()
  assert.equal(command.atom(), 'b')
  command.end()
  assert.throws(() => new CommandInput(['a', literal, '']).end(), BadCommand)
  assert.throws(() => input('abc').literal(), BadCommand)
  assert.throws(() => new CommandInput(['', { bytes: Buffer.from('a\0'), binary: false }, '']).string(), BadCommand)
})

test('mailbox names: INBOX in any case, modified UTF-7', () => {
  assert.equal(input('inBox').mailbox(), 'INBOX')
  assert.equal(input('inbox/a').mailbox(), 'INBOX/a')
  assert.equal(input('inboxes').mailbox(), 'inboxes')
  assert.equal(input('"&AOQ-"').mailbox(), 'ä')
  assert.equal(new CommandInput(['"&AOQ-"'], { utf8: true }).mailbox(), '&AOQ-')
})

for (const [name, wire] of [
  ['INBOX', 'INBOX'],
  ['R&D', 'R&-D'],
  ['Entwürfe', 'Entw&APw-rfe'],
  ['日本語', '&ZeVnLIqe-'],
  ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
  ['😀', '&2D3eAA-'],
] as const) {
  test(`modified UTF-7 of ${name}`, () => {
    assert.equal(encodeModifiedUtf7(name), wire)
    assert.equal(decodeModifiedUtf7(wire), name)
  })
}

for (const [text, largest, want] of [
  ['1', 9, [[1, 1]]],
  ['5:2', 9, [[2, 5]]],
  [
    '1:3,2:6,8',
    9,
    [
      [1, 6],
      [8, 8],
    ],
  ],
  ['3,4,5', 9, [[3, 5]]],
  ['*', 9, [[9, 9]]],
  ['12:*', 9, [[9, 12]]],
] as const) {
  test(`sequence-set ${text} of ${largest}`, () => {
    const set = parseSequenceSet(text)
    assert.ok(Array.isArray(set))
    assert.deepEqual(toRanges(set, largest), want)
  })
}

for (const text of ['', '0', '1:', ',1', 'a', '1:2:3', '4294967296', '-1']) {
  test(`no sequence-set: "${text}"`, () => assert.equal(parseSequenceSet(text), undefined))
}

test('sets of numbers as text', () => {
  assert.equal(formatSet([1, 2, 3, 5, 7, 8]), '1:3,5,7:8')
  assert.equal(formatSet([]), '')
  assert.deepEqual(
    formatPairs([
      [1, 10],
      [3, 11],
      [4, 9],
    ]),
    ['1,3:4', '10:11,9'],
  )
})

test('numbers in ranges', () => {
  const ranges = toRanges(
    [
      [2, 4],
      [8, 8],
    ],
    9,
  )
  assert.deepEqual(
    [1, 2, 4, 5, 8, 9].map((number) => isInRanges(ranges, number)),
    [false, true, true, false, true, false],
  )
  assert.equal(isInRanges([], 1), false)
})

test('flags and keywords', () => {
  assert.deepEqual(['\\seen', '\\DELETED', 'Work', '$Forwarded', '\\Recent'].map(keywordOf), [
    '$seen',
    '$deleted',
    'work',
    '$forwarded',
    undefined,
  ])
  assert.deepEqual(['$seen', '$deleted', '$forwarded', '$mdnsent', 'work'].map(flagOf), [
    '\\Seen',
    '\\Deleted',
    '$Forwarded',
    '$MDNSent',
    'work',
  ])
})

test('flag changes', () => {
  const change = (text: string) => input(text).flagChange()
  assert.deepEqual(change('+FLAGS.SILENT (\\Seen a A)'), { op: 'add', silent: true, keywords: ['$seen', 'a'] })
  assert.deepEqual(change('-flags \\Draft x'), { op: 'remove', silent: false, keywords: ['$draft', 'x'] })
  assert.deepEqual(change('FLAGS ()'), { op: 'replace', silent: false, keywords: [] })
  for (const text of ['FLAG (a)', '+FLAGS.LOUD (a)', '+FLAGS', 'FLAGS (\\Odd)'])
    assert.throws(() => change(text), BadCommand)
})

test('dates', () => {
  assert.equal(parseSearchDate('1-feb-2026')?.toISOString(), '2026-02-01T00:00:00.000Z')
  assert.equal(parseSearchDate('30-Feb-2026'), undefined)
  assert.equal(parseDateTime(' 1-Feb-2026 10:00:00 -0230')?.toISOString(), '2026-02-01T12:30:00.000Z')
  assert.equal(parseDateTime('1-Feb-2026 10:00:00 +0000'), undefined)
  assert.equal(formatDateTime(new Date('2026-02-01T12:30:05Z')), '" 1-Feb-2026 12:30:05 +0000"')
})

test('strings: quoted where they can be, else literals', () => {
  assert.equal(string('a "b" \\', false), '"a \\"b\\" \\\\"')
  assert.equal(string('ü', false), '{2}\r\nü')
  assert.equal(string('ü', true), '"ü"')
  assert.equal(string('a\r\nb', true), '{4}\r\na\r\nb')
  assert.equal(nstring(null, false), 'NIL')
  assert.equal(nstring('', false), '""')
  assert.equal(astring('nil', false), '"nil"')
  assert.equal(astring('a]', false), '"a]"')
})

test('FETCH items: labels as they come back', () => {
  const labels = (text: string) =>
    parseFetchItems(input(text)).map((item) =>
      item.kind === 'simple' ? item.name : `${item.label}${'peek' in item && item.peek ? ' peek' : ''}`,
    )
  assert.deepEqual(labels('ALL'), ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'])
  assert.deepEqual(labels('(uid body BODY.PEEK[1.2.mime] body[header.fields (a "b c")]<0.9>)'), [
    'UID',
    'BODY',
    'BODY[1.2.MIME] peek',
    'BODY[HEADER.FIELDS (a "b c")]',
  ])
  assert.deepEqual(labels('(RFC822 RFC822.HEADER RFC822.TEXT BINARY.PEEK[1] PREVIEW (LAZY))'), [
    'RFC822',
    'RFC822.HEADER peek',
    'RFC822.TEXT',
    'BINARY[1] peek',
    'PREVIEW',
  ])
  for (const text of [
    'BODY[MIME]',
    'BODY[0]',
    'BODY[1',
    'BODY[]<1>',
    'BODY[]<0.0>',
    'BODY[HEADER.FIELDS ()]',
    'NONSENSE',
    'BODY.PEEK',
  ]) {
    assert.throws(() => parseFetchItems(input(text)), BadCommand, text)
  }
})

test('search programs nest as deep as is sensible', () => {
  const now = new Date(0)
  assert.deepEqual(parseSearchProgram(input('OR SEEN (NOT FROM "x" 1:2)'), now).key, {
    or: [
      { filter: { hasKeyword: '$seen' } },
      {
        and: [{ not: { filter: { from: 'x' } } }, { messages: { numbering: 'sequence', set: [[1, 2]] } }],
      },
    ],
  })
  assert.throws(() => parseSearchProgram(input(`${'NOT '.repeat(1000)}ALL`), now), BadCommand)
  assert.throws(() => parseSearchProgram(input('ALL '.repeat(3000).trim()), now), BadCommand)
  for (const text of ['', 'FROM', 'OR SEEN', '()', 'SINCE tomorrow', 'LARGER x']) {
    assert.throws(() => parseSearchProgram(input(text), now), BadCommand, text)
  }
})
