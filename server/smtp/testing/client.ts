/** What most SMTP tests do: greet, send one message. */
import assert from 'node:assert/strict'
import type { StartedListener } from './start.ts'
import { SmtpClient } from './transcript.ts'

/** A session after EHLO. */
export async function session(started: StartedListener): Promise<SmtpClient> {
  const client = await SmtpClient.connect(started.port)
  assert.match(await client.line(), /^220 /)
  assert.match(await client.command('EHLO client.example.net'), /^250/)
  return client
}

/** Sends one message and gives the reply. */
export async function send(
  client: SmtpClient,
  message: string | Buffer,
  recipients = ['ann@example.org'],
): Promise<string> {
  assert.match(await client.command('MAIL FROM:<joe@example.net>'), /^250 2\.1\.0/)
  for (const recipient of recipients) assert.match(await client.command(`RCPT TO:<${recipient}>`), /^250 2\.1\.5/)
  assert.match(await client.command('DATA'), /^354/)
  client.send(message)
  client.send('\r\n.\r\n')
  return client.reply()
}
