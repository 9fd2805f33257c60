import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodePart, partText } from './decode.ts'
import { parseMessage } from './parse.ts'
import { extractText } from './text.ts'
import type { MimePart } from './types.ts'

const limits = { mimeDepth: 50, mimeParts: 1000, headerBytes: 1_048_576 }
const load = (name: string) => readFileSync(new URL(`testdata/${name}`, import.meta.url))
const parse = (text: string, changed: Partial<typeof limits> = {}) =>
  parseMessage(Buffer.from(text), { ...limits, ...changed })
const outline = (part: MimePart): string =>
  `${part.number} ${part.type}/${part.subtype}${part.parts ? ` (${part.parts.map(outline).join(', ')})` : ''}`
const all = (part: MimePart): MimePart[] => [part, ...(part.parts ?? []).flatMap(all)]
const find = (part: MimePart, number: string): MimePart => {
  const found = all(part).find((candidate) => candidate.number === number)
  assert.ok(found, `part ${number}`)
  return found
}

test('a plain message', () => {
  const raw = load('plain.eml')
  const message = parseMessage(raw, limits)
  assert.deepEqual(message.envelope, {
    date: 'Mon, 23 Nov 2026 10:00:00 +0100',
    subject: 'Lunch',
    from: [['Alice', 'alice', 'example.org']],
    sender: [['Alice', 'alice', 'example.org']],
    replyTo: [['Alice', 'alice', 'example.org']],
    to: [['Bob', 'bob', 'example.org']],
    cc: [],
    bcc: [],
    inReplyTo: null,
    messageId: '<lunch-1@example.org>',
  })
  assert.equal(message.sentAt?.toISOString(), '2026-11-23T09:00:00.000Z')
  assert.deepEqual(message.messageId, ['lunch-1@example.org'])
  assert.equal(message.preview, 'Shall we? At noon.')
  assert.equal(message.hasAttachment, false)
  const { structure } = message
  assert.deepEqual([structure.number, structure.type, structure.subtype, structure.lines], ['1', 'text', 'plain', 2])
  assert.equal(raw.toString('latin1', structure.bodyStart, structure.bodyEnd), 'Shall we?\r\nAt noon.\r\n')
})

test('nested multiparts and an embedded message: numbers, offsets, decoding', () => {
  const raw = load('nested.eml')
  const { structure, hasAttachment, preview } = parseMessage(raw, limits)
  assert.equal(
    outline(structure),
    ' multipart/mixed (1 multipart/alternative (1.1 text/plain, 1.2 text/html), 2 application/pdf, ' +
      '3 message/rfc822 (3 multipart/mixed (3.1 text/plain, 3.2 text/plain)))',
  )
  assert.equal(partText(raw, find(structure, '1.1')), 'Grüße aus München, soft break')
  assert.equal(find(structure, '2').name, 'Rechnung für-Bob.pdf')
  assert.equal(decodePart(raw, find(structure, '2')).toString(), '%PDF-1.4\n')
  assert.equal(find(structure, '2').decodedSize, 9)
  assert.equal(partText(raw, find(structure, '3.2')), 'second')
  const embedded = find(structure, '3')
  assert.equal(embedded.envelope?.subject, 'Inside')
  assert.equal(raw.toString('latin1', embedded.bodyStart, embedded.bodyStart + 5), 'From:')
  assert.ok(raw.toString('latin1', embedded.bodyStart, embedded.bodyEnd).endsWith('--deep--'))
  assert.equal(hasAttachment, true)
  assert.equal(preview, 'Grüße aus München, soft break')
  assert.equal(
    extractText(raw, structure, 1000),
    'Grüße aus München, soft break\nfirst\nsecond\nRechnung für-Bob.pdf\nInside\ncarol@example.net',
  )
  assert.equal(extractText(raw, structure, 5), 'Grüße')
})

test('8-bit header fields: UTF-8 when valid, else latin1', () => {
  const utf8 = parseMessage(load('eight-bit.eml'), limits)
  assert.equal(utf8.subject, 'Grüße')
  assert.deepEqual(utf8.from, [{ name: 'Jürgen Groß', email: 'juergen@example.org' }])
  assert.deepEqual(utf8.to, [{ name: null, email: '用户@例子.example' }])
  const latin1 = parseMessage(load('latin1-header.eml'), limits)
  assert.equal(latin1.subject, 'Grüße')
  assert.equal(latin1.preview, 'ü')
})

test('a multipart that is never closed, and parts cut short by an outer boundary', () => {
  const raw = load('broken-boundary.eml')
  const { structure } = parseMessage(raw, limits)
  assert.equal(
    outline(structure),
    ' multipart/mixed (1 multipart/alternative (1.1 text/plain), 2 text/plain, 3 text/plain)',
  )
  assert.equal(partText(raw, find(structure, '1.1')), 'one')
  assert.equal(partText(raw, find(structure, '2')), '')
  assert.equal(partText(raw, find(structure, '3')), 'no header here\r\n\r\njust text\r\n')
})

test('nothing, header only, no header', () => {
  assert.deepEqual(
    ['empty.eml', 'header-only.eml', 'no-header.eml'].map((name) => {
      const { subject, structure, preview } = parseMessage(load(name), limits)
      return [subject, structure.bodyStart, structure.bodyEnd, preview]
    }),
    [
      [null, 0, 0, ''],
      ['nothing more', 42, 42, ''],
      [null, 0, 37, 'Hello there, this has no header.'],
    ],
  )
})

test('bare LF line ends', () => {
  const raw = load('lf-only.eml')
  const { subject, structure } = parseMessage(raw, limits)
  assert.equal(subject, 'unix')
  assert.equal(partText(raw, find(structure, '1')), 'body')
})

test('the parts of a digest are messages (RFC 2046 §5.1.5)', () => {
  const { structure } = parseMessage(load('digest.eml'), limits)
  assert.equal(
    outline(structure),
    ' multipart/digest (1 message/rfc822 (1.1 text/plain), 2 message/rfc822 (2.1 text/plain))',
  )
  assert.equal(find(structure, '2').envelope?.subject, 'two')
})

test('limits: depth, number of parts, bytes of header', () => {
  const level = (n: number) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`
  const deep = parse(Array.from({ length: 100 }, (_, n) => level(n)).join(''), { mimeDepth: 3 })
  assert.equal(all(deep.structure).length, 4)
  const many = parse(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(50)}`, {
    mimeParts: 10,
  })
  assert.equal(all(many.structure).length, 10)
  const huge = parse(`Subject: kept\r\n${'X: y\r\n'.repeat(1000)}From: late@example.org\r\n\r\nbody`, {
    headerBytes: 500,
  })
  assert.deepEqual([huge.subject, huge.from, huge.preview], ['kept', [], 'body'])
})

test('what Postgres cannot keep (NUL, lone surrogates) is not in the result', () => {
  const message = parse(
    "Subject: a\0b =?utf-16be?b?2AA=?= =?utf-7?q?+2AA-?=\r\nFrom: =?utf-8?q?=00x?= <a\0@b>\r\nContent-Type: text/plain; name*=utf-8''%00\r\n\r\na\0b",
  )
  const text = JSON.stringify(message)
  assert.ok(!/\\u0000|\\ud8/i.test(text), text)
  assert.equal(message.preview, 'a b')
})

test('whatever the bytes, a message comes out whose offsets lie inside it', () => {
  const seeds = ['nested.eml', 'broken-boundary.eml', 'groups.eml', 'digest.eml', 'eight-bit.eml'].map(load)
  let state = 42
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state % below
  }
  for (let round = 0; round < 1500; round++) {
    const seed = seeds[round % seeds.length] ?? Buffer.alloc(0)
    const raw = Buffer.from(seed.subarray(0, random(4) === 0 ? random(seed.length) : seed.length))
    for (let change = random(12); change > 0 && raw.length > 0; change--) {
      raw[random(raw.length)] = random(3) === 0 ? random(256) : (Buffer.from('\r\n-:;"=()<>@, ')[random(14)] ?? 0)
    }
    for (const part of all(parseMessage(raw, limits).structure)) {
      assert.ok(part.headerStart <= part.bodyStart && part.bodyStart <= part.bodyEnd && part.bodyEnd <= raw.length)
      if (!part.parts) assert.equal(decodePart(raw, part).length, part.decodedSize)
    }
  }
})
