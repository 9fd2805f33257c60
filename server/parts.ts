/** Wires the parts of the engine, from the database up to the ports. With main.ts, the only file that knows them all. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createLoginThrottle } from './accounts/login-throttle.ts'
import { createAccounts } from './accounts/store.ts'
import { adminRoute } from './admin/accounts.ts'
import { watchAdminToken } from './admin/token.ts'
import { autoconfigRoutes } from './autoconfig/routes.ts'
import { openBlobs } from './blob/open.ts'
import { migrate } from './db/migrate.ts'
import { openDatabase } from './db/pool.ts'
import { createJmap } from './jmap/http/routes.ts'
import { createJmapMetrics } from './jmap/metrics.ts'
import { createMailstore } from './mailstore/mailstore.ts'
import { watchDkimKeys } from './process/dkim-keys.ts'
import type { Host } from './process/host.ts'
import { listenHttps } from './process/https.ts'
import { listenImaps } from './process/imaps.ts'
import { listenSmtp } from './process/smtp.ts'
import { waitingFor } from './process/waiting.ts'
import { startQueue } from './queue/queue.ts'
import { createSubmitter } from './queue/submitter.ts'
import { withDnsCache } from './senderauth/dns-cache.ts'
import { createResolver } from './senderauth/resolver.ts'
import { createSenderAuth } from './senderauth/verify.ts'
import { createSmtpMetrics } from './smtp/metrics.ts'
import { createSessionCounter } from './smtp/sessions.ts'
import { createSpamJudge } from './spam/judge.ts'
import { createRateCounter } from './spam/rate-counter.ts'

export interface Parts extends AsyncDisposable {
  /** Ends sessions politely; nothing of theirs is under way when it returns. Leases go back on disposal. */
  drain(): Promise<void>
}

const now = () => new Date()

/**
 * Resolves when all ports are bound, however long configuration and database take to come; /readyz says what is missing.
 * @throws the signal's reason when asked to stop before
 */
export async function startParts(host: Host, { log, signal }: { log: Logger; signal: AbortSignal }): Promise<Parts> {
  await using started = new AsyncDisposableStack()
  const { environment, registry, readiness, http, certificate } = host
  const { rootDirectory } = environment
  const config = host.config.view
  const component = (name: string) => log.child({ component: name })
  const until = waitingFor({ readiness, log, signal })
  await until('config', async () => void config.hostname)

  const db = await until('database', () =>
    openDatabase({
      url: environment.databaseUrl,
      connections: config.limits.databaseConnections,
      logger: component('database'),
      metrics: registry,
    }),
  )
  started.use(db)
  await until('database', () => migrate({ url: environment.databaseUrl, logger: component('database') }))
  readiness.set('database', () => db.ping(), { shared: true })
  const blobs = started.use(
    await until('storage', async () =>
      openBlobs({ db, storage: config.storage, rootDirectory, logger: component('blobs'), metrics: registry }),
    ),
  )
  readiness.set('storage', () => blobs.check(), { shared: true })

  const mailstore = started.use(
    createMailstore({ db, blobs, limits: host.config.limits, now, logger: component('mailstore'), metrics: registry }),
  )
  const accounts = started.use(createAccounts({ db, domains: () => config.domains, now }))
  const resolver = withDnsCache(createResolver(() => config.dnsServers))
  const rateCounter = createRateCounter({ db, now })
  const throttle = createLoginThrottle({
    counter: rateCounter,
    failuresPerHour: () => config.limits.authFailuresPerAddressPerHour,
    now,
  })
  const queue = started.use(
    startQueue({ db, mailstore, blobs, accounts, config, resolver, rootDirectory, logger: log, registry, now }),
  )
  const dkim = started.use(
    await watchDkimKeys({ config: host.config, rootDirectory, log: component('dkim'), registry }),
  )
  const submitter = createSubmitter({
    db,
    accounts,
    mailstore,
    blobs,
    config,
    signingKeys: dkim.signingKeys,
    rateCounter,
    metrics: queue.metrics,
    logger: log,
    now,
  })

  const adminToken = started.use(
    await watchAdminToken({ file: join(rootDirectory, 'admin/token'), log: component('admin') }),
  )
  const jmap = createJmap({
    deps: { mailstore, accounts, submitter, config, now },
    throttle,
    metrics: createJmapMetrics(registry),
    log: component('jmap'),
  })
  http.routes.push(adminRoute({ accounts, token: adminToken }), ...autoconfigRoutes({ config, now }), ...jmap.routes)

  const smtp = await listenSmtp(
    host,
    {
      config,
      accounts,
      mailstore,
      submitter,
      queue,
      judge: createSpamJudge({ config, db, rateCounter, resolver, logger: log, metrics: registry, now }),
      senderAuth: createSenderAuth({ hostname: () => config.hostname, resolver }),
      throttle,
      sessions: createSessionCounter(() => config.limits),
      metrics: createSmtpMetrics(registry),
      logger: log,
      now,
    },
    until,
  )
  const imapDeps = {
    mailstore,
    accounts,
    config: () => host.config.view,
    logger: log,
    metrics: registry,
    now,
    throttle,
  }
  const imaps = await until('imaps', () => listenImaps(host, imapDeps, component('imap')))
  const https = await until('https', () => listenHttps(host, component('http')))
  if (https) started.use(https)
  readiness.set('tls', () => {
    if (!certificate.current()) throw new Error(`465 and 993 wait for a certificate: ${certificate.problem()}`)
  })

  const owned = started.move()
  return {
    async drain() {
      jmap.drain()
      await Promise.all([smtp.drain(config.limits.drainMs), imaps.drain()])
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
