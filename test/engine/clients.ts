/** Independent clients of a running engine: nodemailer, imapflow, and JMAP by fetch. */
import { readFile } from 'node:fs/promises'
import { ImapFlow } from 'imapflow'
import nodemailer from 'nodemailer'
import type { Engine } from '../engine.ts'

export interface Mail {
  from: string
  to: string | string[]
  raw: string
}

/** One message on one connection to port 25, without authentication. @throws nodemailer's error with responseCode */
export async function sendMail(engine: Pick<Engine, 'ports'>, { from, to, raw }: Mail): Promise<void> {
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port: engine.ports.smtp, ignoreTLS: true })
  await transport.sendMail({ envelope: { from, to }, raw })
}

/** One message on submissions (465), as one of our accounts. */
export async function submitMail(engine: Engine, user: string, { from, to, raw }: Mail): Promise<void> {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: engine.ports.smtps,
    secure: true,
    tls: { ca: await readFile(engine.caFile) },
    auth: { user, pass: 'secret' },
  })
  await transport.sendMail({ envelope: { from, to }, raw })
}

/** A logged-in IMAP session. */
export async function connectImap(engine: Engine, user: string): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: engine.ports.imaps,
    secure: true,
    tls: { ca: await readFile(engine.caFile, 'utf8') },
    auth: { user, pass: 'secret' },
    logger: false,
  })
  client.on('error', () => {}) // a closed connection rejects what waits for it
  await client.connect()
  return client
}

export function authorization(user: string): string {
  return `Basic ${Buffer.from(`${user}:secret`).toString('base64')}`
}

/** One JMAP method call on the user's own account. @throws Error when the call is answered with an error */
export async function jmapCall(
  engine: Engine,
  user: string,
  name: string,
  args: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const headers = { Authorization: authorization(user), 'Content-Type': 'application/json' }
  const session = (await (await fetch(`${engine.http}/.well-known/jmap`, { headers })).json()) as {
    apiUrl: string
    primaryAccounts: Record<string, string>
  }
  const using = ['urn:ietf:params:jmap:core', 'urn:ietf:params:jmap:mail']
  const accountId = session.primaryAccounts['urn:ietf:params:jmap:mail']
  const body = JSON.stringify({ using, methodCalls: [[name, { accountId, ...args }, '0']] })
  const response = await fetch(session.apiUrl, { method: 'POST', headers, body })
  const { methodResponses } = (await response.json()) as {
    methodResponses: [string, Record<string, unknown>, string][]
  }
  const [answer] = methodResponses
  if (!answer || answer[0] === 'error') throw new Error(`${name}: ${JSON.stringify(answer)}`)
  return answer[1]
}

/** Subjects of all of a user's mail, by JMAP, sorted. */
export async function subjectsByJmap(engine: Engine, user: string): Promise<string[]> {
  const { ids } = await jmapCall(engine, user, 'Email/query', {})
  const subjects: string[] = []
  for (let at = 0; at < (ids as string[]).length; at += 500) {
    const page = (ids as string[]).slice(at, at + 500)
    const { list } = await jmapCall(engine, user, 'Email/get', { ids: page, properties: ['subject'] })
    subjects.push(...(list as { subject: string }[]).map(({ subject }) => subject))
  }
  return subjects.sort()
}

/** Subjects in a user's inbox, by IMAP, sorted. */
export async function subjectsByImap(engine: Engine, user: string): Promise<string[]> {
  const client = await connectImap(engine, user)
  const subjects: string[] = []
  const lock = await client.getMailboxLock('INBOX')
  for await (const message of client.fetch('1:*', { envelope: true })) subjects.push(message.envelope?.subject ?? '')
  lock.release()
  await client.logout()
  return subjects.sort()
}
