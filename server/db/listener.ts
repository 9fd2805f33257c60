/** LISTEN on one dedicated connection that re-connects by itself. It also carries the process's identity (see Database.owner). */
import pg from 'pg'
import type { Logger } from 'pino'
import { type ConnectionOptions, connectionConfig, setUpSession } from './connection.ts'

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A connection that a firewall dropped says nothing: ask now and then. */
const PROBE_INTERVAL_MS = 15_000
/** Key space of the identity locks. Migrations use another. */
export const OWNER_LOCK_CLASS = 0x6d61696c // 'mail'

interface Subscription {
  channel: string
  onNotify: (payload: string) => void
  onGap: () => void
}

export interface Listener extends AsyncDisposable {
  /** As Database.listen. */
  listen(channel: string, onNotify: (payload: string) => void, onGap: () => void): () => void
}

/**
 * Connects in the background, at once, and again after every loss.
 * @param owner taken as a session advisory lock on the connection, so that others see whether this process lives
 */
export function startListener(options: ConnectionOptions, owner: number, logger: Logger): Listener {
  const subscriptions = new Set<Subscription>()
  const stopped = new AbortController()
  let current: pg.Client | undefined
  let connectedBefore = false

  async function connectOnce(): Promise<void> {
    const client = new pg.Client({
      ...connectionConfig({ ...options, applicationName: 'mail-engine-listen' }),
      pipeline: true,
    })
    const lost = Promise.withResolvers<void>()
    client.on('error', () => lost.resolve())
    client.on('end', () => lost.resolve())
    const onStop = () => lost.resolve()
    stopped.signal.addEventListener('abort', onStop, { once: true })
    client.on('notification', ({ channel, payload }) => {
      for (const one of [...subscriptions]) if (one.channel === channel) notify(() => one.onNotify(payload ?? ''))
    })
    try {
      await client.connect()
      await setUpSession(client)
      // Not the blocking form: after a broken connection the old session may hold it until the server notices.
      await client.query('select pg_try_advisory_lock($1, $2)', [OWNER_LOCK_CLASS, owner])
      // From here on a subscription brings its own channel; until now there was nobody to tell.
      current = client
      const channels = new Set([...subscriptions].map((one) => one.channel))
      await Promise.all([...channels].map((channel) => beginListening(client, channel)))
      if (connectedBefore) logger.info('listening to database notifications again')
      connectedBefore = true
      const probe = setInterval(() => {
        client.query('select 1').catch(() => lost.resolve())
      }, PROBE_INTERVAL_MS)
      await lost.promise
      clearInterval(probe)
    } finally {
      stopped.signal.removeEventListener('abort', onStop)
      current = undefined
      const ended = client.end().catch(() => {})
      if (stopped.signal.aborted) await ended
    }
  }

  /** Who waits for news of the channel may have missed some until now. */
  async function beginListening(client: pg.Client, channel: string): Promise<void> {
    await client.query(`listen ${pg.escapeIdentifier(channel)}`)
    for (const one of [...subscriptions]) if (one.channel === channel) notify(one.onGap)
  }

  function notify(callback: () => void): void {
    try {
      callback()
    } catch (err) {
      logger.error({ err }, 'a notification listener failed')
    }
  }

  async function run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS
    while (!stopped.signal.aborted) {
      const startedAt = Date.now()
      await connectOnce().catch((err) => logger.debug({ err }, 'no connection for database notifications'))
      if (stopped.signal.aborted) return
      if (Date.now() - startedAt > LAST_RETRY_MS) retryMs = FIRST_RETRY_MS
      logger.warn({ retryMs }, 'lost the connection for database notifications')
      await pause(retryMs * (0.5 + Math.random() / 2), stopped.signal)
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)
    }
  }

  const running = run()
  return {
    listen(channel, onNotify, onGap) {
      const subscription = { channel, onNotify, onGap }
      const isNew = ![...subscriptions].some((one) => one.channel === channel)
      subscriptions.add(subscription)
      if (isNew && current) beginListening(current, channel).catch(() => {}) // lost: the next connection listens to it
      return () => {
        subscriptions.delete(subscription)
      }
    },
    async [Symbol.asyncDispose]() {
      stopped.abort()
      await running
    },
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}
