/** A foreign mail server on a loopback port, and the DNS that leads to it. */
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { DnsResolver } from '../../senderauth/resolver.ts'

/** Long enough for a machine that has much else to do. */
const WAIT_MS = 60_000

export interface ReceivedMail {
  reversePath: string
  recipients: string[]
  /** DSN parameters of the recipients. */
  notify: (string[] | undefined)[]
  raw: string
  secure: boolean
  login: unknown
}

export interface Sink extends AsyncDisposable {
  port: number
  received: ReceivedMail[]
  /** Resolves once so many messages are here. */
  count(messages: number): Promise<ReceivedMail[]>
}

/** @param refuse says what RCPT or DATA is answered: a reply such as "550 5.1.1 nobody", or undefined to take it */
export async function startSink(
  refuse: (recipient: string) => string | undefined = () => undefined,
  options: SMTPServerOptions = {},
): Promise<Sink> {
  const received: ReceivedMail[] = []
  const waiting: { messages: number; resolve: (all: ReceivedMail[]) => void }[] = []
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    disableReverseLookup: true,
    hideDSN: false,
    hideENHANCEDSTATUSCODES: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo(address, _session, callback) {
      const reply = refuse(address.address)
      if (reply === undefined) return callback()
      callback(Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) }))
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          reversePath: mailFrom ? mailFrom.address : '',
          recipients: rcptTo.map(({ address }) => address),
          notify: rcptTo.map(({ dsn }) => dsn?.notify),
          raw: Buffer.concat(chunks).toString('latin1'),
          secure: session.secure,
          login: session.user,
        })
        callback()
        for (const one of waiting) if (received.length >= one.messages) one.resolve(received)
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    port: (server.server.address() as AddressInfo).port,
    received,
    async count(messages) {
      if (received.length >= messages) return received
      const { promise, resolve, reject } = Promise.withResolvers<ReceivedMail[]>()
      const timer = setTimeout(() => reject(new Error(`${received.length} of ${messages} messages came`)), WAIT_MS)
      waiting.push({ messages, resolve })
      return promise.finally(() => clearTimeout(timer))
    },
    async [Symbol.asyncDispose]() {
      for (const connection of server.connections) connection.close()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** What DNS says; a name that is missing does not exist. `[]` is a name without records of that type. */
export interface Zone {
  mx?: Record<string, { exchange: string; priority: number }[]>
  a?: Record<string, string[]>
  /** Questions for these time out. */
  silent?: string[]
}

export function zoneResolver(zone: Zone): DnsResolver {
  const fail = (code: string) => Object.assign(new Error(`query ${code}`), { code })
  const answer = async <T>(records: Record<string, T[]> | undefined, name: string): Promise<T[]> => {
    if (zone.silent?.includes(name)) throw fail('ETIMEOUT')
    const found = records?.[name]
    if (found && found.length > 0) return found
    throw fail(name in { ...zone.mx, ...zone.a } ? 'ENODATA' : 'ENOTFOUND')
  }
  const resolver: Partial<Record<keyof DnsResolver, unknown>> = {
    resolveMx: (name: string) => answer(zone.mx, name),
    resolve4: (name: string) => answer(zone.a, name),
    resolve6: (name: string) => answer({}, name),
  }
  return resolver as unknown as DnsResolver
}
