/** Times JMAP's first screen: Email/query of 50 and Email/get of what it found, in one request (RFC 8620 §3.7). */
import { request } from 'node:http'
import type { Endpoint } from './endpoints.ts'

export interface Screen {
  seconds: number
  emails: number
}

/** @throws Error when the answer is not the 50 (or fewer) emails asked for */
export async function firstScreen(to: Endpoint, login: { address: string; password: string }): Promise<Screen> {
  const session = JSON.parse((await call(to, login, 'GET', '/jmap/session')).body)
  const accountId = session.primaryAccounts['urn:ietf:params:jmap:mail']
  const body = JSON.stringify({
    using: ['urn:ietf:params:jmap:core', 'urn:ietf:params:jmap:mail'],
    methodCalls: [
      ['Mailbox/get', { accountId, ids: null }, 'm'],
      [
        'Email/query',
        { accountId, sort: [{ property: 'receivedAt', isAscending: false }], collapseThreads: true, limit: 50 },
        'q',
      ],
      [
        'Email/get',
        {
          accountId,
          '#ids': { resultOf: 'q', name: 'Email/query', path: '/ids' },
          properties: [
            'threadId',
            'mailboxIds',
            'keywords',
            'hasAttachment',
            'from',
            'subject',
            'receivedAt',
            'size',
            'preview',
          ],
        },
        'g',
      ],
    ],
  })
  const answer = await call(to, login, 'POST', '/jmap/api', body)
  const list = JSON.parse(answer.body).methodResponses?.[2]?.[1]?.list
  if (!Array.isArray(list)) throw new Error(`JMAP: ${answer.body.slice(0, 300)}`)
  return { seconds: answer.seconds, emails: list.length }
}

function call(to: Endpoint, login: { address: string; password: string }, method: string, path: string, body?: string) {
  return new Promise<{ body: string; seconds: number }>((resolve, reject) => {
    const started = process.hrtime.bigint()
    const sent = request(
      {
        host: to.host,
        port: to.port,
        method,
        path,
        auth: `${login.address}:${login.password}`,
        headers: body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {},
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ body: Buffer.concat(chunks).toString(), seconds: Number(process.hrtime.bigint() - started) / 1e9 }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
