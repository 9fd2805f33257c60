/** One delivery attempt: find the host, talk SMTP, say what became of each recipient. Knows nothing of the queue's rows. */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'
import type { EngineConfig } from '../config.ts'
import type { DnsResolver } from '../senderauth/resolver.ts'
import { withALabels } from './a-labels.ts'
import { type Outcome, outcomeOf, ownReply, parseReply, type Reply } from './reply.ts'
import { addressesOf, routeOf } from './route.ts'
import type { QueueRecipient } from './types.ts'

export interface Mail {
  reversePath: string
  envelopeId: string | undefined
  ret: 'full' | 'hdrs' | undefined
  raw: Buffer
}

export interface AttemptResult {
  outcome: Outcome
  reply: Reply
  remoteHost: string | undefined
  /** The remote server takes over the promise of notifications (RFC 3461 §5.2.2). */
  remoteSendsDsn: boolean
}

export interface AttemptDeps {
  config: EngineConfig
  resolver: DnsResolver
  /** Where the relay's credentials are. */
  rootDirectory: string
}

/** RFC 5321 §4.5.3.2, shortened where a server that takes so long will not do better later. */
const CONNECT_MS = 30_000
const GREETING_MS = 60_000
const IDLE_MS = 300_000
/** Addresses tried in one attempt, over all hosts. */
const MAX_CONNECTS = 8

/** A place to connect to. */
interface Target {
  host: string
  address: string
  options: SMTPConnectionOptions
  credentials: { user: string; pass: string } | undefined
}

/**
 * Tries to deliver to recipients that go the same way.
 * @param domain theirs; '' with a relay
 * @returns a result per address; never throws for what the other side or DNS does
 */
export async function attempt(
  deps: AttemptDeps,
  mail: Mail,
  domain: string,
  recipients: readonly QueueRecipient[],
  signal: AbortSignal,
): Promise<Map<string, AttemptResult>> {
  const found = await targetsOf(deps, domain)
  let last: AttemptResult = ownResult('reply' in found ? found.reply : ownReply('4.4.1', 'No host could be reached'))
  for (const target of 'targets' in found ? found.targets.slice(0, MAX_CONNECTS) : []) {
    if (signal.aborted) break
    const opened = await open(target, signal)
    if ('reply' in opened) {
      last = { ...ownResult(opened.reply), remoteHost: target.host }
      // RFC 5321 §5.1: a host that turns us away at its door, even for good, does not speak for the others
      continue
    }
    try {
      return await deliverAll(opened.connection, target, mail, recipients, signal)
    } finally {
      opened.connection.quit()
    }
  }
  // Turned away at the door by all of them: that is about us and now, so it is tried again until the time is over
  if ('targets' in found && last.outcome === 'failed' && last.reply.remote) last = { ...last, outcome: 'deferred' }
  return new Map(recipients.map(({ address }) => [address, last]))
}

function ownResult(reply: Reply): AttemptResult {
  return { outcome: outcomeOf(reply), reply, remoteHost: undefined, remoteSendsDsn: false }
}

async function targetsOf(deps: AttemptDeps, domain: string): Promise<{ targets: Target[] } | { reply: Reply }> {
  const { config, resolver } = deps
  const { relay, mxPort, allowPrivateAddresses } = config.outbound
  const common = {
    name: config.hostname,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: GREETING_MS,
    socketTimeout: IDLE_MS,
  }
  if (relay) {
    const credentials = await relayCredentials(deps)
    const options: SMTPConnectionOptions = {
      ...common,
      host: relay.host,
      port: relay.port,
      secure: relay.tls === 'implicit',
      requireTLS: relay.tls === 'starttls',
      opportunisticTLS: relay.tls === 'opportunistic',
      ignoreTLS: relay.tls === 'none',
      // A relay is chosen by name and gets our password: verified, unless encryption is only taken as it comes
      tls: { rejectUnauthorized: relay.tls !== 'opportunistic' },
    }
    return { targets: [{ host: relay.host, address: relay.host, options, credentials }] }
  }
  const route = await routeOf(domain, config.hostname, resolver)
  if ('reply' in route) return route
  const targets: Target[] = []
  let trouble: Reply | undefined
  for (const host of route.hosts) {
    const found = await addressesOf(host, resolver, allowPrivateAddresses)
    if ('reply' in found) {
      // a name server that does not answer may know better later
      if (trouble === undefined || outcomeOf(found.reply) === 'deferred') trouble = found.reply
      continue
    }
    for (const address of found.addresses)
      targets.push({
        host,
        address,
        options: {
          ...common,
          host: address,
          port: mxPort,
          ...(isIP(host) ? {} : { servername: host }),
          // RFC 7435: some protection is better than none; whom we talk to is not known without DANE or MTA-STS
          opportunisticTLS: true,
          tls: { rejectUnauthorized: false },
        },
        credentials: undefined,
      })
  }
  return targets.length > 0 ? { targets } : { reply: trouble ?? ownReply('5.4.4', `No host for ${domain}`) }
}

async function relayCredentials({ config, rootDirectory }: AttemptDeps): Promise<Target['credentials']> {
  const directory = config.outbound.relay?.credentialsDir
  if (directory === undefined) return undefined
  const read = async (name: string) => (await readFile(join(rootDirectory, directory, name), 'utf8')).trim()
  return { user: await read('username'), pass: await read('password') }
}

/** Connects, greets, takes TLS, logs in. A host whose TLS is broken is tried once more without (RFC 7435 §3). */
async function open(target: Target, signal: AbortSignal): Promise<{ connection: SMTPConnection } | { reply: Reply }> {
  const first = await connect(target.options, target.credentials, signal)
  if (!('tlsFailed' in first) || !first.tlsFailed || !target.options.opportunisticTLS) return first
  return connect({ ...target.options, ignoreTLS: true }, target.credentials, signal)
}

async function connect(
  options: SMTPConnectionOptions,
  credentials: Target['credentials'],
  signal: AbortSignal,
): Promise<{ connection: SMTPConnection } | { reply: Reply; tlsFailed: boolean }> {
  const connection = new SMTPConnection(options)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  connection.on('error', reject) // stays: later errors reach the command in progress too
  connection.on('end', () => reject(new Error('connection closed by the other side')))
  const abort = () => connection.close()
  signal.addEventListener('abort', abort, { once: true })
  connection.once('end', () => signal.removeEventListener('abort', abort))
  try {
    connection.connect((error) => (error ? reject(error) : resolve()))
    await promise
    if (credentials)
      await new Promise<void>((done, fail) =>
        connection.login({ credentials }, (error?: Error | null) => (error ? fail(error) : done())),
      )
    return { connection }
  } catch (error) {
    connection.close()
    return { reply: replyOf(error), tlsFailed: codeOf(error) === 'ETLS' }
  }
}

/** Recipients with the same notification wishes share a transaction, because the client library has one set per envelope. */
async function deliverAll(
  connection: SMTPConnection,
  target: Target,
  mail: Mail,
  recipients: readonly QueueRecipient[],
  signal: AbortSignal,
): Promise<Map<string, AttemptResult>> {
  const results = new Map<string, AttemptResult>()
  const groups = Map.groupBy(recipients, ({ notify, orcpt }) => JSON.stringify([notify, orcpt]))
  for (const group of [...groups.values()].flatMap(inBatches)) {
    const [first] = group
    if (!first) continue
    const sent = signal.aborted
      ? { error: new Error('this server is shutting down'), ehlo: [] }
      : await send(
          connection,
          mail,
          first,
          group.map(({ address }) => address),
        )
    const remoteSendsDsn = sent.ehlo.some((line) => /^DSN\b/i.test(line))
    for (const { address } of group) {
      const refused = sent.refused?.get(withALabels(address))
      const reply = refused ?? (sent.error ? replyOf(sent.error) : parseReply(sent.response ?? '250'))
      results.set(address, { outcome: outcomeOf(reply), reply, remoteHost: target.host, remoteSendsDsn })
    }
  }
  return results
}

/** RFC 5321 §4.5.3.1.8: more than so many recipients need not be taken at a time. */
const BATCH = 100
function inBatches(recipients: QueueRecipient[]): QueueRecipient[][] {
  const batches: QueueRecipient[][] = []
  for (let at = 0; at < recipients.length; at += BATCH) batches.push(recipients.slice(at, at + BATCH))
  return batches
}

interface Sent {
  response?: string
  error?: unknown
  refused?: Map<string, Reply>
  ehlo: string[]
}

async function send(
  connection: SMTPConnection,
  mail: Mail,
  { notify, orcpt }: QueueRecipient,
  to: string[],
): Promise<Sent> {
  const envelope = {
    from: mail.reversePath === '' ? (false as const) : withALabels(mail.reversePath),
    // every server takes A-labels; only a local part beyond ASCII needs SMTPUTF8 (RFC 6531)
    to: to.map(withALabels),
    size: mail.raw.length,
    use8BitMime: mail.raw.some((byte) => byte > 127),
    ...(notify || orcpt || mail.envelopeId || mail.ret
      ? {
          dsn: {
            ...(mail.ret ? { ret: mail.ret === 'full' ? 'FULL' : 'HDRS' } : {}),
            ...(mail.envelopeId ? { envid: mail.envelopeId } : {}),
            ...(notify ? { notify: notify.map((value) => value.toUpperCase()) } : {}),
            ...(orcpt ? { orcpt } : {}),
          },
        }
      : {}),
  }
  const { promise, resolve } = Promise.withResolvers<Sent>()
  connection.once('end', () => resolve({ error: new Error('connection closed by the other side'), ehlo: [] }))
  connection.once('error', (error: Error) => resolve({ error, ehlo: [] }))
  connection.send(envelope, mail.raw, (error, info) => {
    const refused = new Map<string, Reply>()
    const errors = error ? rejectedErrorsOf(error) : (info?.rejectedErrors ?? [])
    for (const one of errors) if (one.recipient) refused.set(one.recipient, replyOf(one))
    if (error) resolve({ error, refused, ehlo: [] })
    else resolve({ response: info?.response ?? '250', refused, ehlo: info?.ehlo ?? [] })
  })
  return promise
}

type RejectedError = Error & { recipient?: string }
function rejectedErrorsOf(error: Error): RejectedError[] {
  return 'rejectedErrors' in error && Array.isArray(error.rejectedErrors) ? error.rejectedErrors : []
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** The server's own words where there are any; else what went wrong on the way, which is always transient. */
function replyOf(error: unknown): Reply {
  if (error instanceof Error && 'response' in error && typeof error.response === 'string' && error.response !== '')
    return parseReply(error.response)
  const text = error instanceof Error ? error.message : String(error)
  // RFC 3463 §3.5: 4.4.2 bad connection, 4.7.5 cryptographic failure
  return ownReply(codeOf(error) === 'ETLS' ? '4.7.5' : '4.4.2', text.replace(/[\r\n]+/g, ' ').slice(0, 500))
}
