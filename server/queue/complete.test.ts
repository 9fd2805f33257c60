import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completeMessage } from './complete.ts'

const options = {
  defaultFrom: 'ann@example.org',
  hostname: 'mx.example.org',
  now: new Date('2026-03-01T12:00:00Z'),
  id: 'x1',
}
const FULL = 'From: Ann <ann@example.org>\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\nMessage-ID: <m@example.org>\r\n'

for (const [what, given, want] of [
  ['a complete message stays as it is', `${FULL}\r\nbody\r\n`, `${FULL}\r\nbody\r\n`],
  [
    'missing fields are added',
    'Subject: x\r\n\r\nbody',
    'From: <ann@example.org>\r\nDate: Sun, 01 Mar 2026 12:00:00 +0000\r\nMessage-ID: <x1@mx.example.org>\r\nSubject: x\r\n\r\nbody',
  ],
  [
    'Bcc is taken out, folded too',
    `${FULL}Bcc: a@b.example,\r\n c@d.example\r\nTo: x@y.example\r\n\r\nb`,
    `${FULL}To: x@y.example\r\n\r\nb`,
  ],
  ['a body that looks like a field stays', `${FULL}\r\nBcc: not a field\r\n`, `${FULL}\r\nBcc: not a field\r\n`],
  ['lone line ends become CRLF', `${FULL}\r\na\nb\rc\r\n`, `${FULL}\r\na\r\nb\r\nc\r\n`],
  [
    'a body without header gets one',
    'hello there\r\n',
    'From: <ann@example.org>\r\nDate: Sun, 01 Mar 2026 12:00:00 +0000\r\nMessage-ID: <x1@mx.example.org>\r\n\r\nhello there\r\n',
  ],
] as const)
  test(`submission: ${what}`, () => assert.equal(completeMessage(Buffer.from(given), options).raw.toString(), want))

test('submission: every address of From is given', () => {
  const raw = Buffer.from('From: Ann <ann@example.org>, "B, b" <bob@example.org>\r\nSender: ann@example.org\r\n\r\nx')
  assert.deepEqual(completeMessage(raw, options).from, ['ann@example.org', 'bob@example.org'])
})
