import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader, type CommandLimits, type ReadCommand, readCommand } from './reader.ts'

const limits: CommandLimits = { lineBytes: 100, literalBytes: () => 10, totalLiteralBytes: () => 15 }
const flow = { pause() {}, resume() {} }

/** Everything that is read from these chunks, in words; '+' where a literal was asked for. */
async function readAll(chunks: readonly string[], changed: Partial<CommandLimits> = {}): Promise<string[]> {
  const input = new ByteReader(flow)
  const words: string[] = []
  const feed = (async () => {
    for (const chunk of chunks) {
      input.push(Buffer.from(chunk, 'latin1'))
      await new Promise(setImmediate)
    }
    input.end()
  })()
  for (;;) {
    const read = await readCommand(input, { ...limits, ...changed }, () => words.push('+'))
    words.push(inWords(read))
    if (read.kind === 'end' || read.kind === 'fatal') break
  }
  await feed
  return words
}

function inWords(read: ReadCommand): string {
  if (read.kind === 'command') {
    return read.pieces
      .map((piece) => (typeof piece === 'string' ? piece : `<${piece.binary ? '~' : ''}${piece.bytes}>`))
      .join('|')
  }
  return read.kind === 'fatal' ? read.reason : read.kind
}

for (const [situation, chunks, want] of [
  ['a line', ['a NOOP\r\n'], ['a NOOP', 'end']],
  ['a line in pieces, with a bare LF', ['a N', 'OO', 'P\n'], ['a NOOP', 'end']],
  ['CR and LF apart', ['a NOOP\r', '\nb NOOP\r\n'], ['a NOOP', 'b NOOP', 'end']],
  ['several lines at once', ['a\r\nb\r\n\r\nc\r\n'], ['a', 'b', '', 'c', 'end']],
  [
    'a synchronizing literal',
    ['a LOGIN {3}\r\n', 'xyz {2}\r\n', 'pw\r\n'],
    ['+', '+', 'a LOGIN |<xyz>| |<pw>|', 'end'],
  ],
  ['non-synchronizing literals', ['a LOGIN {3+}\r\nx\r\n {2+}\r\npw\r\n'], ['a LOGIN |<x\r\n>| |<pw>|', 'end']],
  ['a literal byte by byte', ['a {', '3+}', '\r', '\n', 'x', 'y', 'z', '\r\n'], ['a |<xyz>|', 'end']],
  ['literal8', ['a {1+}\r\nx ~{2+}\r\n\0\0\r\n'], ['a |<x>| |<~\0\0>|', 'end']],
  ['an empty literal', ['a {0}\r\n', '\r\n'], ['+', 'a |<>|', 'end']],
  ['braces in a quoted string', ['a "{3}"\r\n'], ['a "{3}"', 'end']],
  ['a literal too big, synchronizing: not asked for', ['a {11}\r\n', 'b\r\n'], ['literalTooBig', 'b', 'end']],
  ['a literal too big, sent anyway: thrown away', ['a {11+}\r\n12345678901\r\nb\r\n'], ['literalTooBig', 'b', 'end']],
  ['literals too big together', ['a {9+}\r\n123456789 {9+}\r\n123456789\r\nb\r\n'], ['literalTooBig', 'b', 'end']],
  ['a literal too big to throw away', ['a {99999999999+}\r\n'], ['Literal too big']],
  ['a line too long', [`a ${'x'.repeat(200)}\r\n`], ['Command line too long']],
  ['a line that never ends', ['x'.repeat(60), 'x'.repeat(60)], ['Command line too long']],
  [
    'lines of one command too long together',
    [`${'x'.repeat(80)} {1+}\r\ny${'x'.repeat(80)}\r\n`],
    ['Command line too long'],
  ],
  ['an end inside a line', ['a NO'], ['end']],
  ['an end inside a literal', ['a {5+}\r\nab'], ['end']],
] as const) {
  test(`reading ${situation}`, async () => assert.deepEqual(await readAll(chunks), want))
}

test('the sender is held back while much is unread, and let go again', async () => {
  const calls: string[] = []
  const input = new ByteReader({ pause: () => calls.push('pause'), resume: () => calls.push('resume') })
  for (let n = 0; n < 5; n++) input.push(Buffer.alloc(100_000, 0x61))
  assert.deepEqual(calls, ['pause', 'pause', 'pause'])
  const bytes = await input.readBytes(500_000)
  assert.equal(bytes?.length, 500_000)
  assert.deepEqual(calls.at(-1), 'resume')
})
