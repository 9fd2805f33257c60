/** Independent clients of a running service, from its endpoints: nodemailer, imapflow, JMAP by fetch. */
import { readFileSync } from 'node:fs'
import { ImapFlow } from 'imapflow'
import nodemailer, { type SendMailOptions } from 'nodemailer'
import type { Endpoints } from '../../operator/local/main.ts'

export type User = Endpoints['accounts'][number]

/** One message on one connection to port 25, without authentication. @throws nodemailer's error with its response */
export async function sendMail(endpoints: Endpoints, mail: SendMailOptions): Promise<string> {
  const transport = nodemailer.createTransport({ ...endpoints.smtp, ignoreTLS: true })
  return (await transport.sendMail(mail)).response
}

/** One message by submission: 465, or 587 with STARTTLS; the certificate is verified. */
export async function submitMail(
  endpoints: Endpoints,
  how: 'submissions' | 'submission',
  user: User,
  mail: SendMailOptions,
): Promise<void> {
  const transport = nodemailer.createTransport({
    ...endpoints[how],
    secure: how === 'submissions',
    requireTLS: how === 'submission',
    tls: { ca: readFileSync(endpoints.caFile), servername: 'localhost' },
    auth: { user: user.address, pass: user.password },
  })
  await transport.sendMail({ from: user.address, ...mail })
}

/** A logged-in IMAP session that ends with the scope. */
export async function openImap(endpoints: Endpoints, user: User): Promise<ImapFlow & AsyncDisposable> {
  const client = new ImapFlow({
    ...endpoints.imaps,
    secure: true,
    servername: 'localhost',
    tls: { ca: readFileSync(endpoints.caFile, 'utf8') },
    auth: { user: user.address, pass: user.password },
    logger: false,
  })
  client.on('error', () => {}) // a closed connection rejects what waits for it
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.logout().catch(() => {}) })
}

/** Message-IDs in a mailbox, by IMAP. */
export async function messageIdsByImap(endpoints: Endpoints, user: User, mailbox = 'INBOX'): Promise<string[]> {
  await using client = await openImap(endpoints, user)
  const lock = await client.getMailboxLock(mailbox)
  try {
    const found: string[] = []
    for await (const { envelope } of client.fetch('1:*', { envelope: true })) found.push(envelope?.messageId ?? '')
    return found
  } finally {
    lock.release()
  }
}

export interface JmapClient {
  session: { apiUrl: string; downloadUrl: string; accountId: string }
  /** One method call. @throws Error when it is answered with an error */
  call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>
  download(blobId: string): Promise<Buffer>
}

export async function openJmap(endpoints: Endpoints, user: User): Promise<JmapClient> {
  const credentials = Buffer.from(`${user.address}:${user.password}`).toString('base64')
  const headers = { authorization: `Basic ${credentials}`, 'content-type': 'application/json' }
  const base = `http://${endpoints.http.host}:${endpoints.http.port}`
  const answer = await fetch(`${base}/.well-known/jmap`, { headers })
  if (!answer.ok) throw new Error(`JMAP session: ${answer.status}`)
  const { apiUrl, downloadUrl, primaryAccounts } = (await answer.json()) as {
    apiUrl: string
    downloadUrl: string
    primaryAccounts: Record<string, string>
  }
  const accountId = primaryAccounts['urn:ietf:params:jmap:mail'] ?? ''
  return {
    session: { apiUrl, downloadUrl, accountId },
    async call(name, args) {
      const using = ['urn:ietf:params:jmap:core', 'urn:ietf:params:jmap:mail']
      const body = JSON.stringify({ using, methodCalls: [[name, { accountId, ...args }, '0']] })
      const response = await fetch(apiUrl, { method: 'POST', headers, body })
      const { methodResponses } = (await response.json()) as { methodResponses: [string, Record<string, unknown>][] }
      const [first] = methodResponses
      if (!first || first[0] === 'error') throw new Error(`${name}: ${JSON.stringify(first)}`)
      return first[1]
    },
    async download(blobId) {
      const values: Record<string, string> = { accountId, blobId, name: 'blob', type: 'application/octet-stream' }
      const url = downloadUrl.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ''))
      const response = await fetch(url, { headers })
      if (!response.ok) throw new Error(`download: ${response.status}`)
      return Buffer.from(await response.arrayBuffer())
    },
  }
}

/** Message-IDs of all of a user's mail, by JMAP. */
export async function messageIdsByJmap(endpoints: Endpoints, user: User): Promise<string[]> {
  const jmap = await openJmap(endpoints, user)
  const found: string[] = []
  for (let position = 0; ; ) {
    const { ids } = (await jmap.call('Email/query', { position, limit: 250 })) as { ids: string[] }
    if (ids.length === 0) return found
    const { list } = await jmap.call('Email/get', { ids, properties: ['messageId'] })
    for (const { messageId } of list as { messageId: string[] | null }[]) found.push(`<${messageId?.[0] ?? ''}>`)
    position += ids.length
  }
}
