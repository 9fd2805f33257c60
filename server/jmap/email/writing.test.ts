/** What we write, read by our own parser: header fields and MIME parts come back as they were meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodePart } from '../../message/decode.ts'
import { headerFields } from '../../message/headers.ts'
import { parseMessage } from '../../message/parse.ts'
import { headerValue, parseHeaderProperty } from './header-forms.ts'
import { writeDate, writeField } from './header-writer.ts'
import { type PartToWrite, writePart } from './mime-writer.ts'

const limits = { mimeDepth: 20, mimeParts: 100, headerBytes: 100_000 }

for (const [property, value] of [
  ['header:Subject:asText', 'plain words '.repeat(20).trim()],
  ['header:Subject:asText', `${'🙂'.repeat(50)} ${'ß'.repeat(100)}`],
  ['header:Subject:asText', 'looks =?like?= an encoded-word'],
  [
    'header:To:asAddresses',
    [
      { name: 'Straße, "x" \\ y', email: 'a@b.example' },
      { name: null, email: 'ü@é.example' },
    ],
  ],
  [
    'header:To:asAddresses',
    Array.from({ length: 50 }, (_, index) => ({ name: `Person ${index}`, email: `p${index}@example.org` })),
  ],
  ['header:X-To:asGroupedAddresses', [{ name: 'Gruppe Ü', addresses: [{ name: null, email: 'a@b.example' }] }]],
  [
    'header:References:asMessageIds',
    Array.from({ length: 30 }, (_, index) => `id-${index}@a-rather-long.host.example`),
  ],
  ['header:Date:asDate', '2026-02-28T23:59:59-08:00'],
  ['header:List-Post:asURLs', ['https://example.org/a?b', 'mailto:x@example.org']],
  ['header:X-Raw', ' as it is\r\n folded'],
] as const)
  test(`${property} comes back: ${JSON.stringify(value).slice(0, 50)}`, () => {
    const parsed = parseHeaderProperty(property)
    assert.ok(parsed)
    const written = Buffer.from(writeField(property, parsed, value))
    for (const line of written.toString().split('\r\n')) assert.ok(Buffer.byteLength(line) <= 998, 'RFC 5322 §2.1.1')
    assert.deepEqual(headerValue(headerFields(written, 0, written.length), parsed), value)
  })

test('a date is written with the offset it was given in', () => {
  assert.equal(writeDate('2026-02-28T23:59:59-08:00'), 'Sat, 28 Feb 2026 23:59:59 -0800')
  assert.equal(writeDate('2026-02-28T23:59:59.123Z'), 'Sat, 28 Feb 2026 23:59:59 +0000')
})

const part = (content: Buffer | string, more: Partial<PartToWrite> = {}): PartToWrite => ({
  type: 'text/plain',
  fields: '',
  content: Buffer.from(content),
  parts: [],
  ...more,
})

for (const [given, content, type, encoding] of [
  ['short ASCII', 'hello\r\n', 'text/plain', '7bit'],
  ['UTF-8', 'Grüße = Küsse \r\nüber\tdas \r\n', 'text/plain', 'quoted-printable'],
  ['lines without end', 'ü='.repeat(2000), 'text/plain', 'quoted-printable'],
  ['long ASCII lines', 'x'.repeat(5000), 'text/plain', 'quoted-printable'],
  ['bytes', Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256)), 'application/pdf', 'base64'],
  ['a message', 'Subject: ü\r\n\r\nx\r\n', 'message/rfc822', '8bit'],
  ['nothing', '', 'application/octet-stream', 'base64'],
] as const)
  test(`${given} in ${type} goes as ${encoding} and comes back`, () => {
    const raw = Buffer.concat([Buffer.from('MIME-Version: 1.0\r\n'), writePart(part(content, { type }), () => 'b')])
    const { structure } = parseMessage(raw, limits)
    assert.equal(structure.encoding, encoding)
    assert.deepEqual(decodePart(raw, structure), Buffer.from(content))
    if (encoding !== '8bit') for (const line of raw.toString('latin1').split('\r\n')) assert.ok(line.length <= 76, line)
  })

test('multiparts nest, and names keep their letters (RFC 2231)', () => {
  let count = 0
  const name = `Übersicht ${'lang '.repeat(30)}"q".pdf`
  const root = part('', {
    type: 'multipart/mixed',
    parts: [
      part('', { type: 'multipart/alternative', parts: [part('a\r\n'), part('<p>b', { type: 'text/html' })] }),
      part('%PDF', { type: 'application/pdf', name, disposition: 'attachment', cid: 'c@d', language: ['de', 'en'] }),
    ],
  })
  const raw = Buffer.concat([Buffer.from('MIME-Version: 1.0\r\n'), writePart(root, () => `=_b${count++}`)])
  const { structure } = parseMessage(raw, limits)
  assert.deepEqual(
    structure.parts?.map(({ type, subtype }) => `${type}/${subtype}`),
    ['multipart/alternative', 'application/pdf'],
  )
  const file = structure.parts?.[1]
  assert.deepEqual(
    [file?.name, file?.contentId, file?.language, file?.disposition],
    [name, '<c@d>', ['de', 'en'], 'attachment'],
  )
})
