import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { startEngine } from '../engine.ts'
import { authorization, sendMail } from './clients.ts'

/** Reads lines of a text protocol. */
function reader(socket: NodeJS.ReadableStream) {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  return {
    async until(pattern: RegExp): Promise<string> {
      while (!pattern.test(text)) await once(socket, 'data')
      return text
    },
    async end(): Promise<string> {
      await once(socket, 'close')
      return text
    },
  }
}

for (const workers of [1, 2]) {
  test(`SIGTERM with ${workers} process(es) that serve: 421, BYE, streams end, exit 0`, async () => {
    await using engine = await startEngine({ workers })
    const smtp = connect(engine.ports.smtp, '127.0.0.1')
    const smtpLines = reader(smtp)
    await smtpLines.until(/^220 /)

    const imap = connectTls({ host: '127.0.0.1', port: engine.ports.imaps, ca: await readFile(engine.caFile) })
    const imapLines = reader(imap)
    await imapLines.until(/^\* OK/)
    imap.write('a LOGIN alice@example.org secret\r\nb SELECT INBOX\r\n')
    await imapLines.until(/^b OK/m)
    imap.write('c IDLE\r\n')
    await imapLines.until(/^\+ /m)

    const headers = { Authorization: authorization('alice@example.org') }
    const stream = await fetch(`${engine.http}/jmap/eventsource/?types=*&closeafter=no&ping=0`, { headers })

    const exited = once(engine.process, 'exit')
    engine.process.kill('SIGTERM')
    const [smtpText, imapText] = await Promise.all([smtpLines.end(), imapLines.end(), stream.text()])
    assert.match(smtpText, /^421 4\.3\.2 /m)
    assert.match(imapText, /^\* BYE /m)
    assert.deepEqual(await exited, [0, null])
  })
}

test('what was acknowledged before SIGTERM is there after a restart', async () => {
  await using engine = await startEngine()
  await sendMail(engine, { from: 'x@example.net', to: 'alice@example.org', raw: 'Subject: kept\r\n\r\n' })
  assert.equal(await engine.stop(), 0)
  await engine.restart()
  assert.match(await engine.metrics(), /mail_config_valid 1/)
})
