import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProxyHeader } from './proxy-protocol.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

for (const [given, bytes, want] of [
  [
    'IPv4',
    Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.9 4000 993\r\nA'),
    { kind: 'header', lengthBytes: 41, address: '192.0.2.1' },
  ],
  [
    'IPv6',
    Buffer.from('PROXY TCP6 2001:db8::1 ::1 1 2\r\n'),
    { kind: 'header', lengthBytes: 32, address: '2001:db8::1' },
  ],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), { kind: 'header', lengthBytes: 15, address: undefined }],
  ['the beginning of a line', Buffer.from('PROXY TCP4 192.'), { kind: 'incomplete' }],
  ['a beginning that may be POST', Buffer.from('P'), { kind: 'incomplete' }],
  ['POST', Buffer.from('POST / HTTP/1.1\r\n'), { kind: 'none' }],
  ['a TLS record', hex('160301'), { kind: 'none' }],
  [
    'a name for an address',
    Buffer.from('PROXY TCP4 localhost ::1 1 2\r\n'),
    { kind: 'invalid', reason: 'bad address' },
  ],
  ['a line without end', Buffer.from(`PROXY ${'x'.repeat(200)}`), { kind: 'invalid', reason: 'line too long' }],
  [
    'version 2, IPv4',
    hex(`${SIGNATURE} 21 11 000c c0000201 c0000209 0fa0 03e1`),
    { kind: 'header', lengthBytes: 28, address: '192.0.2.1' },
  ],
  ['version 2, LOCAL', hex(`${SIGNATURE} 20 00 0000`), { kind: 'header', lengthBytes: 16, address: undefined }],
  ['version 2, cut off', hex(`${SIGNATURE} 21 11 000c c000`), { kind: 'incomplete' }],
  ['version 2, longer than the bound', hex(`${SIGNATURE} 21 11 ffff`), { kind: 'invalid', reason: 'header too long' }],
  ['version 3', hex(`${SIGNATURE} 31 11 0000`), { kind: 'invalid', reason: 'unknown version' }],
] as const)
  test(`PROXY header: ${given}`, () => assert.deepEqual(parseProxyHeader(bytes), want))
