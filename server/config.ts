/**
 * The engine's configuration: the one contract between the operator, which renders it into a ConfigMap, and the engine,
 * which reads it. Secrets are never in it: it names files beside it. Unknown keys are refused, so that a typo is an error.
 */
import { z } from 'zod'

const port = z.number().int().min(0).max(65535)
const bytes = z.number().int().positive()
const milliseconds = z.number().int().nonnegative()
const domainName = z
  .string()
  .max(253)
  .regex(/^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/, 'must be a lower-case domain name (A-labels, no trailing dot)')

/** A DKIM key in use for signing (RFC 6376 §3.6.1, RFC 8463). The private key is PEM (PKCS#8) in `keyFile`. */
const dkimKey = z.strictObject({
  selector: z.string().min(1).max(63),
  algorithm: z.enum(['rsa-sha256', 'ed25519-sha256']),
  /** Relative to the root directory (`MAIL_ROOT`), e.g. "dkim/default.example.org.pem". */
  keyFile: z.string(),
})

const domain = z.strictObject({
  name: domainName,
  dkim: z.array(dkimKey).max(8).default([]),
  /** Mail to unknown local parts goes to this address of ours, when given. */
  catchAll: z.string().optional(),
})

/** Where message bytes are kept (design decision 6). */
const storage = z.discriminatedUnion('driver', [
  z.strictObject({ driver: z.literal('postgres') }),
  z.strictObject({
    driver: z.literal('s3'),
    /** http(s)://host[:port] */
    endpoint: z.url(),
    region: z.string().default('us-east-1'),
    bucket: z.string().min(3).max(63),
    pathStyle: z.boolean().default(true),
    /** Keys begin with this, so that several servers may share a bucket. */
    prefix: z.string().default(''),
    /** Directory with the files accessKey and secretKey, relative to the root directory; read again when they change. */
    credentialsDir: z.string().default('s3'),
    /** PEM bundle for a private CA, relative to the root directory. */
    caFile: z.string().optional(),
    /** Messages up to this size stay in Postgres, inside the delivery's own transaction. */
    inlineMaxBytes: z.number().int().nonnegative().default(131_072),
  }),
])

/** Every bound of the engine in one table (design decision 10). */
const limits = z.strictObject({
  /** A message by SMTP, APPEND, JMAP. SMTP says 552 5.3.4, IMAP NO [TOOBIG], JMAP tooLarge. */
  messageBytes: bytes.default(52_428_800),
  recipientsPerMessage: z.number().int().positive().default(1000),
  sessionsPerProcess: z.number().int().positive().default(5000),
  sessionsPerAddress: z.number().int().positive().default(200),
  smtpCommandTimeoutMs: milliseconds.default(300_000),
  smtpCommandLineBytes: bytes.default(4096),
  imapLineBytes: bytes.default(65_536),
  /** A non-message literal (mailbox name, search string, ...). */
  imapLiteralBytes: bytes.default(65_536),
  imapIdleTimeoutMs: milliseconds.default(1_860_000),
  imapLoginTimeoutMs: milliseconds.default(60_000),
  authFailuresPerAddressPerHour: z.number().int().positive().default(300),
  mimeDepth: z.number().int().positive().default(50),
  mimeParts: z.number().int().positive().default(1000),
  headerBytes: bytes.default(1_048_576),
  receivedHops: z.number().int().positive().default(50),
  mailboxesPerAccount: z.number().int().positive().default(10_000),
  mailboxDepth: z.number().int().positive().default(20),
  jmapRequestBytes: bytes.default(10_000_000),
  jmapUploadBytes: bytes.default(52_428_800),
  jmapCallsPerRequest: z.number().int().positive().default(32),
  jmapObjectsInGet: z.number().int().positive().default(1000),
  jmapObjectsInSet: z.number().int().positive().default(1000),
  jmapConcurrentRequests: z.number().int().positive().default(8),
  databaseConnections: z.number().int().positive().default(10),
  /** From SIGTERM until the process ends whatever is still open. */
  drainMs: milliseconds.default(25_000),
})

const spam = z.strictObject({
  enabled: z.boolean().default(true),
  /** At or above: filed in Junk, with X-Spam headers. */
  requiredScore: z.number().default(5),
  /** At or above: refused with 550 5.7.1 after DATA. */
  rejectScore: z.number().default(15),
  /** Rule texts in SpamAssassin's language (header, body, rawbody, uri, full, meta, score, describe, tflags), after the built-in ones. */
  rules: z.array(z.string().max(262_144)).max(64).default([]),
  dnsbl: z
    .array(z.strictObject({ zone: domainName, score: z.number().default(3) }))
    .max(32)
    .default([]),
  greylisting: z
    .strictObject({
      enabled: z.boolean().default(false),
      /** A retry before this is still refused. */
      delayMs: milliseconds.default(60_000),
      /** A first attempt is forgotten after this, when no retry came. */
      retryWindowMs: milliseconds.default(86_400_000),
      /** A triplet that passed stays known this long after its last mail. */
      passForMs: milliseconds.default(3_024_000_000),
    })
    .prefault({}),
  rateLimit: z
    .strictObject({
      /** Messages an unauthenticated client network (IPv4 /32, IPv6 /64) may send; above: 451 4.7.1. 0 is no limit. */
      messagesPerAddressPerMinute: z.number().int().nonnegative().default(0),
      /** Recipients an account may submit to; above: 451 4.7.1. 0 is no limit. */
      recipientsPerAccountPerHour: z.number().int().nonnegative().default(0),
    })
    .prefault({}),
})

const outbound = z.strictObject({
  /** All foreign mail goes here instead of to the MX hosts. */
  relay: z
    .strictObject({
      host: z.string(),
      port: port.default(587),
      tls: z.enum(['starttls', 'implicit', 'opportunistic', 'none']).default('starttls'),
      /** Directory with the files username and password, relative to the root directory; no authentication without it. */
      credentialsDir: z.string().optional(),
    })
    .optional(),
  /** Port of the MX hosts; other than 25 only in tests. */
  mxPort: port.default(25),
  concurrency: z.number().int().positive().default(20),
  /** Delay before the 2nd, 3rd, ... attempt; the last one repeats. */
  retryDelaysMs: z.array(milliseconds).min(1).default([60_000, 300_000, 900_000, 3_600_000, 14_400_000]),
  /** Given up, and told to the sender, after this. */
  expireMs: milliseconds.default(432_000_000),
  leaseMs: milliseconds.default(300_000),
  /** How often a replica looks for due mail when no notification comes. */
  pollMs: milliseconds.default(5_000),
  /** Tests only: deliver to loopback and private addresses. Off, an MX that points there is refused (no bounce into the cluster). */
  allowPrivateAddresses: z.boolean().default(false),
})

export const engineConfigSchema = z.strictObject({
  hostname: domainName,
  domains: z.array(domain).min(1).max(10_000),
  storage: storage.prefault({ driver: 'postgres' }),
  listeners: z
    .strictObject({
      /** Bound address; '::' is all, of both families. */
      address: z.string().default('::'),
      smtp: port.default(25),
      smtps: port.default(465),
      submission: port.default(587),
      imaps: port.default(993),
      /** HTTP: JMAP, admin, metrics, health. Speaks TLS too, told by the first byte. */
      jmap: port.default(8080),
      /** HTTP for the world, TLS only: JMAP, settings of mail programs, the MTA-STS policy; no admin, metrics, health. None by default. */
      https: port.optional(),
    })
    .prefault({}),
  tls: z
    .strictObject({
      /** Relative to the root directory; read again when they change. A missing pair makes STARTTLS unavailable and 465, 993 unready. */
      certFile: z.string().default('tls/tls.crt'),
      keyFile: z.string().default('tls/tls.key'),
      /** For names that the first pair is not for: HTTP and 993 choose by SNI. They may come later than the names; read again when they change. */
      additional: z
        .array(z.strictObject({ certFile: z.string(), keyFile: z.string() }))
        .max(32)
        .default([]),
    })
    .prefault({}),
  /** Networks (CIDR) whose connections begin with a PROXY protocol header (v1 or v2); others are never asked for one. */
  proxyProtocol: z.strictObject({ trustedNetworks: z.array(z.string()).max(64).default([]) }).prefault({}),
  /** URL under which clients reach HTTP, for the JMAP session; default https://<hostname>. The request's own Host wins when it is not the hostname (local run). */
  publicUrl: z.url().optional(),
  /** Resolvers "host" or "host:port"; empty: the system's. */
  dnsServers: z.array(z.string()).max(8).default([]),
  /** The policy that is served at mta-sts.<domain> (RFC 8461 §3.2). The operator derives its record's id from the same. */
  mtaSts: z
    .strictObject({
      mode: z.enum(['none', 'testing', 'enforce']).default('enforce'),
      /** How long senders keep the policy; RFC 8461 §3.2 bounds it. */
      maxAgeSeconds: z.number().int().positive().max(31_557_600).default(604_800),
    })
    .prefault({}),
  limits: limits.prefault({}),
  spam: spam.prefault({}),
  outbound: outbound.prefault({}),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})

/** Parsed, with every default filled in. */
export type EngineConfig = z.output<typeof engineConfigSchema>
/** What the operator renders: only what differs from the defaults is needed. */
export type EngineConfigInput = z.input<typeof engineConfigSchema>
export type DomainConfig = EngineConfig['domains'][number]
export type Limits = EngineConfig['limits']
export type SpamConfig = EngineConfig['spam']
export type OutboundConfig = EngineConfig['outbound']
export type StorageConfig = EngineConfig['storage']

/**
 * What comes from the environment of the process:
 *
 * | variable | meaning |
 * |---|---|
 * | `STALWART_DATABASE_URL` | postgres:// URL; `sslmode=verify-full` with `sslrootcert=<file>` verifies the server |
 * | `MAIL_ROOT` | root directory of the mounted files, default /etc/mail: `config/config.json`, `tls/`, `dkim/`, `s3/`, `admin/token` |
 * | `MAIL_PORT_SMTP`, `_SMTPS`, `_SUBMISSION`, `_IMAPS`, `_JMAP`, `_HTTPS` | override listeners.*; the local runner sets them, where replicas share one network |
 * | `MAIL_LISTEN_ADDRESS` | overrides listeners.address |
 * | `MAIL_WORKERS` | worker processes that share the listeners; default: the number of cores the process may use, at most 4 |
 * | `MAIL_TERMINATION_LOG` | where server/preflight.ts leaves its last words, default /dev/termination-log; the local runner sets it |
 * | `POD_NAME` | names this replica in leases, logs and Received; default the host name |
 */
export interface EngineEnvironment {
  databaseUrl: string
  rootDirectory: string
  podName: string
  workers: number
  ports: Partial<Record<'smtp' | 'smtps' | 'submission' | 'imaps' | 'jmap' | 'https', number>>
  listenAddress: string | undefined
}

/** Names every bad variable and every bad field at once. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/**
 * Checks a configuration document.
 * @param document parsed JSON of config.json
 * @throws ConfigError listing every field that is wrong
 */
export function parseEngineConfig(document: unknown): EngineConfig {
  const result = engineConfigSchema.safeParse(document)
  if (result.success) return result.data
  throw new ConfigError(z.prettifyError(result.error))
}

/**
 * As parseEngineConfig, for a document that a newer operator may have written: fields that this version does not know
 * are left out and named, because an engine that will not start is worse than one without a new feature. The preflight
 * of an upgrade is strict, so nobody goes to such a version unknowingly.
 * @returns unknownFields: dotted paths
 * @throws ConfigError listing every other problem
 */
export function parseNewerConfig(document: unknown): { config: EngineConfig; unknownFields: string[] } {
  const result = engineConfigSchema.safeParse(document)
  if (result.success) return { config: result.data, unknownFields: [] }
  const unknown = result.error.issues.filter((issue) => issue.code === 'unrecognized_keys')
  if (unknown.length < result.error.issues.length) throw new ConfigError(z.prettifyError(result.error))
  const known = structuredClone(document)
  for (const { path, keys } of unknown) {
    const parent = path.reduce<unknown>((node, key) => Reflect.get(Object(node), key), known)
    for (const key of keys) Reflect.deleteProperty(Object(parent), key)
  }
  const unknownFields = unknown.flatMap(({ path, keys }) => keys.map((key) => z.core.toDotPath([...path, key])))
  return { config: parseEngineConfig(known), unknownFields }
}

/**
 * Reads the process's environment.
 * @param cores how many cores the process may use
 * @throws ConfigError listing every variable that is wrong
 */
export function readEnvironment(
  env: Record<string, string | undefined>,
  { cores, hostname }: { cores: number; hostname: string },
): EngineEnvironment {
  const problems: string[] = []
  const number = (name: string, low: number, high: number): number | undefined => {
    const text = env[name]
    if (text === undefined || text === '') return undefined
    const value = Number(text)
    if (Number.isInteger(value) && value >= low && value <= high) return value
    problems.push(`${name}: must be a whole number from ${low} to ${high}`)
    return undefined
  }
  const databaseUrl = env.STALWART_DATABASE_URL ?? ''
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl))
    problems.push('STALWART_DATABASE_URL: must be a postgres:// URL')
  const ports: EngineEnvironment['ports'] = {}
  for (const name of ['smtp', 'smtps', 'submission', 'imaps', 'jmap', 'https'] as const) {
    const value = number(`MAIL_PORT_${name.toUpperCase()}`, 0, 65535)
    if (value !== undefined) ports[name] = value
  }
  const workers = number('MAIL_WORKERS', 1, 64) ?? Math.max(1, Math.min(4, cores))
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return {
    databaseUrl,
    rootDirectory: env.MAIL_ROOT || '/etc/mail',
    podName: env.POD_NAME || hostname,
    workers,
    ports,
    listenAddress: env.MAIL_LISTEN_ADDRESS || undefined,
  }
}
