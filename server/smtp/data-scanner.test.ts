import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { DataScanner } from './data-scanner.ts'

/** What a parser makes of bytes that arrive in pieces: the message, and the commands after it. */
async function received(
  parser: SMTPStream,
  bytes: Buffer,
  sizes: number[],
): Promise<{ message: string; commands: string[] }> {
  const commands: string[] = []
  const chunks: Buffer[] = []
  parser.oncommand = (command, callback) => {
    commands.push(command.toString('latin1'))
    callback?.()
  }
  const stream = parser.startDataMode()
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => parser.continue())
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    await new Promise<void>((resolve) => parser.write(bytes.subarray(at, at + size), () => resolve()))
    at += size
  }
  await new Promise((resolve) => setImmediate(resolve))
  return { message: Buffer.concat(chunks).toString('latin1'), commands }
}

/** A small generator with a seed, so that a failure comes again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('the quick parser reads what smtp-server’s reads, however the bytes are cut', async () => {
  const words = [
    '.',
    '..',
    '\r\n',
    '\r\n.',
    '\n.',
    '\r.',
    '\r\n..\r\n',
    '\n.\n',
    '\n.\r\n',
    'x'.repeat(700),
    'abc',
    '\0',
    '\r',
  ]
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed)
    const text = Array.from({ length: 1 + random(12) }, () => words[random(words.length)]).join('')
    const bytes = Buffer.from(`${text}\r\n.\r\nNOOP\r\n`, 'latin1')
    const sizes = Array.from({ length: 3 }, () => 1 + random(seed % 2 === 0 ? 1500 : 20))
    const [quick, plain] = [
      await received(new DataScanner(), bytes, sizes),
      await received(new SMTPStream(), bytes, sizes),
    ]
    assert.deepEqual(quick, plain, `seed ${seed}`)
    assert.ok(quick.commands.includes('NOOP'), `seed ${seed}`)
  }
})
