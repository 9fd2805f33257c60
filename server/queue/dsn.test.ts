import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodePart } from '../message/decode.ts'
import { parseMessage } from '../message/parse.ts'
import { buildDsn, type DsnInput } from './dsn.ts'
import { parseReply } from './reply.ts'

const original = Buffer.from('From: ann@example.org\r\nSubject: hello\r\n\r\nbody text\r\n')
const input: DsnInput = {
  action: 'failed',
  hostname: 'mx.example.org',
  to: 'ann@example.org',
  envelopeId: 'env-1',
  arrivedAt: new Date('2026-03-01T11:00:00Z'),
  recipients: [
    {
      address: 'joe@example.net',
      orcpt: 'rfc822;joe@old.example',
      reply: parseReply('550 5.1.1 nobody of that name'),
      remoteHost: 'mx.example.net',
    },
  ],
  retryUntil: undefined,
  original,
  ret: undefined,
  now: new Date('2026-03-01T12:00:00Z'),
  id: 'abc',
}
const limits = { mimeDepth: 10, mimeParts: 100, headerBytes: 100_000 }

test('a DSN is multipart/report with explanation, status and the original (RFC 3462, RFC 3464)', () => {
  const raw = buildDsn(input)
  const { structure, from } = parseMessage(raw, limits)
  assert.equal(`${structure.type}/${structure.subtype}`, 'multipart/report')
  assert.equal(structure.parameters['report-type'], 'delivery-status')
  assert.equal(from[0]?.email, 'MAILER-DAEMON@mx.example.org')
  assert.deepEqual(
    structure.parts?.map((part) => `${part.type}/${part.subtype}`),
    ['text/plain', 'message/delivery-status', 'message/rfc822'],
  )
  const [, status, returned] = structure.parts ?? []
  assert.ok(status && returned)
  assert.deepEqual(decodePart(raw, status).toString().trimEnd().split('\r\n'), [
    'Reporting-MTA: dns; mx.example.org',
    'Original-Envelope-Id: env-1',
    'Arrival-Date: Sun, 01 Mar 2026 11:00:00 +0000',
    '',
    'Original-Recipient: rfc822;joe@old.example',
    'Final-Recipient: rfc822; joe@example.net',
    'Action: failed',
    'Status: 5.1.1',
    'Remote-MTA: dns; mx.example.net',
    'Diagnostic-Code: smtp; 550 5.1.1 nobody of that name',
    'Last-Attempt-Date: Sun, 01 Mar 2026 12:00:00 +0000',
  ])
  assert.ok(decodePart(raw, returned).toString().startsWith(original.toString()))
})

for (const [what, change, pattern, absent] of [
  ['RET=HDRS gives the header back only', { ret: 'hdrs' }, /text\/rfc822-headers[\s\S]*Subject: hello/, /body text/],
  [
    'a large original comes back as its header',
    { original: Buffer.concat([original, Buffer.alloc(60_000, 'x')]) },
    /text\/rfc822-headers/,
    /xxxx/,
  ],
  [
    'RET=FULL gives everything back',
    { ret: 'full', original: Buffer.concat([original, Buffer.alloc(60_000, 'x')]) },
    /xxxx/,
    /headers/,
  ],
  [
    'given up after transient failures: the class is 5 (RFC 3464 §2.3.4)',
    {
      recipients: [
        { address: 'a@b.example', orcpt: undefined, reply: parseReply('451 4.7.1 later'), remoteHost: undefined },
      ],
    },
    /Status: 5\.7\.1\r\nDiagnostic-Code: smtp; 451 4\.7\.1 later/,
    /Remote-MTA/,
  ],
  [
    'late mail says until when it is tried',
    { action: 'delayed', retryUntil: new Date('2026-03-05T00:00:00Z') },
    /Action: delayed\r\nStatus: 4\.1\.1[\s\S]*Will-Retry-Until: Thu, 05 Mar 2026/,
    /body text/,
  ],
  [
    'an address beyond ASCII (RFC 6533)',
    {
      recipients: [
        { address: 'jörg@example.net', orcpt: undefined, reply: parseReply('550 no'), remoteHost: undefined },
      ],
    },
    /message\/global-delivery-status[\s\S]*Final-Recipient: utf-8; jörg@example\.net/,
    /7bit/,
  ],
] satisfies [string, Partial<DsnInput>, RegExp, RegExp][])
  test(`DSN: ${what}`, () => {
    const text = buildDsn({ ...input, ...change }).toString()
    assert.match(text, pattern)
    assert.doesNotMatch(text, absent)
  })
