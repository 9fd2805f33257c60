/**
 * An SMTP port: smtp-server's commands tied to what mail means to us (RFC 5321, RFC 6409, RFC 8314). Port 25 ('mx') takes
 * mail for our accounts; 587 ('submission') and 465 ('submissions') take mail from them.
 */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import type { SMTPServerDataStream, SMTPServerOptions, SMTPServerSession } from 'smtp-server'
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { LoginThrottle } from '../accounts/login-throttle.ts'
import type { EngineConfig } from '../config.ts'
import { inNetworks } from '../listener/networks.ts'
import type { Mailstore } from '../mailstore/types.ts'
import { withALabels } from '../queue/a-labels.ts'
import type { Queue, QueueRecipient, Submitter } from '../queue/types.ts'
import type { SenderAuth } from '../senderauth/types.ts'
import type { SpamJudge } from '../spam/types.ts'
import { authenticate } from './auth.ts'
import { incomingMail } from './incoming.ts'
import type { SmtpMetrics } from './metrics.ts'
import { receiveMessage } from './receive.ts'
import { refusalOf, replyError, SmtpRefusal } from './refusal.ts'
import { SmtpServer } from './server.ts'
import type { SessionCounter } from './sessions.ts'
import { submittedMail } from './submitting.ts'
import type { Acceptance, Client, Envelope, Recipient, Transaction } from './transaction.ts'

export type SmtpRole = 'mx' | 'submissions' | 'submission'

export interface SmtpListenerOptions {
  role: SmtpRole
  /** Read at each use: a live view of the configuration takes effect for the next command. */
  config: EngineConfig
  accounts: Accounts
  mailstore: Mailstore
  /** Submission roles. */
  submitter: Submitter
  /** Role mx: confirmations of delivery (RFC 3461) go out by it. Without it port 25 does not offer DSN. */
  queue?: Queue
  /** Role mx. */
  judge: SpamJudge
  senderAuth: SenderAuth
  throttle: LoginThrottle
  /** One for all listeners of the process (sessions.ts). */
  sessions: SessionCounter
  metrics: SmtpMetrics
  logger: Logger
  now: () => Date
  /** PEM. Without it STARTTLS is not offered, and 465 takes no session until updateTls. */
  tls?: { cert: string; key: string }
  /** Tests only: default 1000. */
  failureDelayMs?: number
}

export interface SmtpListener {
  /** Starts to listen. @param port 0 takes a free one. @returns the port. @throws the system's error, such as EADDRINUSE */
  listen(port: number, address: string): Promise<number>
  /** New sessions and the next STARTTLS use it. @throws when the pair does not fit together */
  updateTls(tls: { cert: string; key: string }): void
  /** Takes no more sessions, tells idle ones 421 4.3.2, lets transactions finish for so long. */
  drain(deadlineMs: number): Promise<void>
  /** Open sessions. */
  connections(): number
}

export function createSmtpListener(options: SmtpListenerOptions): SmtpListener {
  const { role, config, metrics } = options
  const logger = options.logger.child({ component: 'smtp', listener: role })
  const handler = role === 'mx' ? incomingMail(options) : submittedMail(options)
  const accountsOf = new WeakMap<SMTPServerSession, Account>()
  const envelopes = new WeakMap<SMTPServerSession, Envelope>()
  const accountIds = new WeakMap<object, string>()

  const clientOf = (session: SMTPServerSession): Client => ({
    address: session.remoteAddress,
    helo: session.hostNameAppearsAs || '',
    protocol: session.transmissionType,
    tls: session.tlsOptions ? { version: session.tlsOptions.version, cipher: session.tlsOptions.name } : undefined,
    account: accountsOf.get(session),
  })

  /** Turns a promise into smtp-server's callback; a refusal is logged once, here. */
  const answer = <T>(
    work: Promise<T>,
    session: SMTPServerSession,
    callback: (error: Error | null, value?: T) => void,
    event: string,
    fields?: () => Record<string, unknown>,
  ): void => {
    work.then(
      (value) => callback(null, value),
      (error: unknown) => {
        const refusal = refusalOf(error)
        const { code, enhanced } = refusal.reply
        const entry = { client: session.remoteAddress, code, enhanced, ...fields?.(), ...refusal.facts }
        if (error instanceof SmtpRefusal) logger.info({ ...entry, reason: refusal.message }, `${event} refused`)
        else logger.warn({ ...entry, err: refusal.cause ?? error }, `${event} refused`)
        callback(replyError(refusal))
      },
    )
  }

  const onData = (stream: SMTPServerDataStream, session: SMTPServerSession, reply: DataReply): void => {
    const connection = server.connectionOf(session)
    const envelope = envelopes.get(session) ?? noEnvelope
    const client = clientOf(session)
    const id = randomUUID().replaceAll('-', '').slice(0, 16)
    const recipients = session.envelope.rcptTo.map((recipient): Recipient => {
      const accountId = accountIds.get(recipient)
      return {
        address: recipient.address,
        ...(recipient.dsn?.notify ? { notify: recipient.dsn.notify.map(lowerCase) } : {}),
        ...(recipient.dsn?.orcpt ? { orcpt: recipient.dsn.orcpt } : {}),
        ...(accountId === undefined ? {} : { accountId }),
      }
    })
    const facts = { id, reversePath: envelope.reversePath, recipients: recipients.length, helo: client.helo }
    const maxBytes = config.limits.messageBytes
    const accept = async (): Promise<Acceptance> => {
      const chunks = await receiveMessage(stream, maxBytes, () => connection.send(421, '4.7.0 Far too much data'))
      if (!chunks) throw new SmtpRefusal({ code: 552, enhanced: '5.3.4' }, `Message exceeds ${maxBytes} bytes`)
      const ended = performance.now()
      const transaction: Transaction = { ...envelope, id, client, recipients, chunks }
      const acceptance = await handler.message(transaction)
      const { action, facts: more } = acceptance
      metrics.acceptSeconds.observe({ listener: role }, (performance.now() - ended) / 1000)
      metrics.received.inc({ listener: role, action })
      logger.info({ client: client.address, ...facts, ...more, action }, 'message accepted')
      return acceptance
    }
    answer(
      accept().catch((error: unknown) => {
        metrics.received.inc({ listener: role, action: refusalOf(error).reply.code < 500 ? 'defer' : 'reject' })
        throw error
      }),
      session,
      (error, acceptance) => {
        reply(error, `2.6.0 ${acceptance?.text}`)
        if (acceptance?.deliveryKey !== undefined) connection.accepted(acceptance.deliveryKey)
      },
      'message',
      () => ({ ...facts, sizeBytes: stream.byteLength }),
    )
  }

  const serverOptions: SMTPServerOptions = {
    banner: '',
    heloResponse: '%s greets %s',
    secure: role === 'submissions',
    minVersion: 'TLSv1.2',
    logger: false,
    disableReverseLookup: true, // a PTR lookup per session tells us nothing that DNSBL and SPF do not
    authMethods: ['PLAIN', 'LOGIN'],
    hideENHANCEDSTATUSCODES: false,
    hideDSN: role === 'mx' && options.queue === undefined,
    ...limitsOf(config),
    maxAllowedUnauthenticatedCommands: 20,
    disabledCommands: ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD', ...(role === 'mx' ? ['AUTH'] : [])],

    onConnect(session, callback) {
      Object.assign(server.options, limitsOf(config)) // what was changed meanwhile holds for the next session
      // RFC 3463 §3.4: 4.3.2 is a system that takes no mail just now.
      const text = server.draining ? '4.3.2 Shutting down, try again' : '4.7.0 Too many sessions, try again later'
      if (server.connectionOf(session).admitted) callback()
      else callback(Object.assign(new Error(text), { responseCode: 421 }))
    },
    onAuth(auth, session, callback) {
      const credentials = { username: auth.username ?? '', password: auth.password ?? '' }
      const login = authenticate(options, { address: session.remoteAddress }, credentials).then(
        (account) => {
          accountsOf.set(session, account)
          return { user: account.id }
        },
        (error: unknown) => {
          metrics.authFailures.inc({ listener: role })
          const known = error instanceof SmtpRefusal
          // RFC 4954 §6: 454 4.7.0 is the temporary failure of AUTH
          throw known ? error : new SmtpRefusal({ code: 454, enhanced: '4.7.0' }, 'Try again later', { cause: error })
        },
      )
      answer(login, session, callback, 'login', () => ({ login: credentials.username }))
    },
    onMailFrom(address, session, callback) {
      const unknown = unknownParameter(address.args, role === 'mx' ? MAIL_PARAMETERS : [...MAIL_PARAMETERS, 'AUTH'])
      if (unknown) return callback(unknown)
      address.address = withALabels(address.address) // smtp-server shows U-labels
      const { SIZE } = address.args || {}
      const envelope: Envelope = {
        reversePath: address.address,
        declaredBytes: typeof SIZE === 'string' ? Number(SIZE) : 0,
        envelopeId: session.envelope.dsn?.envid ?? undefined,
        ret: returnOf(session.envelope.dsn?.ret),
      }
      envelopes.set(session, envelope)
      answer(handler.mail(clientOf(session), envelope), session, callback, 'MAIL', () => ({
        reversePath: address.address,
      }))
    },
    onRcptTo(address, session, callback) {
      const unknown = unknownParameter(address.args, RCPT_PARAMETERS)
      if (unknown) return callback(unknown)
      address.address = withALabels(address.address)
      const envelope = envelopes.get(session) ?? noEnvelope
      const earlier = session.envelope.rcptTo.length
      const accepted = handler.recipient(clientOf(session), envelope, address.address, earlier).then((accountId) => {
        if (accountId !== undefined) accountIds.set(address, accountId)
      })
      answer(accepted, session, callback, 'RCPT', () => ({
        reversePath: envelope.reversePath,
        recipient: address.address,
      }))
    },
    onData,
  }

  let hasTls = options.tls !== undefined
  const withoutTls = serverOptions.disabledCommands ?? []
  if (!options.tls && role !== 'submissions') serverOptions.disabledCommands = [...withoutTls, 'STARTTLS']
  const server = new SmtpServer(options.tls ? { ...serverOptions, ...options.tls } : serverOptions, {
    sessions: options.sessions,
    counted: (change) => metrics.sessions.inc({ listener: role }, change),
    ready: () => hasTls || role !== 'submissions',
    trustsProxy: (address) => inNetworks(address, config.proxyProtocol.trustedNetworks),
    confirm: (deliveryKey) => options.mailstore.confirm(deliveryKey),
  })
  // broken handshakes and resets: everyday on a public port
  server.on('error', (error: Error) => logger.debug({ err: error }, 'session failed'))

  return {
    async listen(port, address) {
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      server.server.once('error', reject)
      server.listen({ port, host: address, backlog: 1024 }, () => {
        const bound = server.server.address() as AddressInfo
        server.server.off('error', reject)
        resolve(bound.port)
      })
      const bound = await promise
      logger.info({ port: bound, address }, 'listening')
      return bound
    },
    updateTls(tls) {
      server.updateSecureContext(tls)
      server.options.disabledCommands = withoutTls
      hasTls = true
    },
    drain: (deadlineMs) => server.drain(deadlineMs),
    connections: () => server.openConnections(),
  }
}

/** What our extensions define: RFC 1870, 6152, 6531, 3461. AUTH= (RFC 4954 §5) is taken on the submission ports and unused. */
const MAIL_PARAMETERS = ['SIZE', 'BODY', 'SMTPUTF8', 'RET', 'ENVID']
const RCPT_PARAMETERS = ['NOTIFY', 'ORCPT']

/** RFC 5321 §4.1.1.11: a parameter of no offered extension is refused with 555. */
function unknownParameter(parameters: object | false, known: string[]): Error | undefined {
  const unknown = Object.keys(parameters || {}).find((name) => !known.includes(name))
  if (unknown === undefined) return undefined
  const text = `Parameter ${unknown.slice(0, 40)} is not supported`
  return replyError(new SmtpRefusal({ code: 555, enhanced: '5.5.4' }, text))
}

/** smtp-server's names for our limits. */
function limitsOf({ hostname, limits }: EngineConfig) {
  return {
    name: hostname,
    size: limits.messageBytes,
    maxRecipients: limits.recipientsPerMessage,
    maxCommandLength: limits.smtpCommandLineBytes,
    maxClients: limits.sessionsPerProcess,
    socketTimeout: limits.smtpCommandTimeoutMs,
  }
}

type DataReply = (error?: Error | null, text?: string) => void
const noEnvelope: Envelope = { reversePath: '', declaredBytes: 0, envelopeId: undefined, ret: undefined }

type Notify = NonNullable<QueueRecipient['notify']>[number]
/** smtp-server has checked that they are NEVER, SUCCESS, FAILURE or DELAY. */
const lowerCase = (value: string): Notify => value.toLowerCase() as Notify

function returnOf(ret: string | null | undefined): Envelope['ret'] {
  return ret === 'FULL' ? 'full' : ret === 'HDRS' ? 'hdrs' : undefined
}
