/** The real store, accounts and IMAP sessions on a fresh test database, for this folder's tests. */
import { createServer } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestPostgres } from '../../../test/postgres.ts'
import type { Account, Accounts } from '../../accounts/accounts.ts'
import { createAccounts } from '../../accounts/store.ts'
import { createPostgresBlobs } from '../../blob/postgres.ts'
import { type EngineConfigInput, parseEngineConfig } from '../../config.ts'
import { migrate } from '../../db/migrate.ts'
import { openDatabase } from '../../db/pool.ts'
import { createMailstore } from '../../mailstore/mailstore.ts'
import type { Mailstore } from '../../mailstore/types.ts'
import { type ImapDeps, type ImapSession, serveImap } from '../server.ts'

export const PASSWORD = 'correct horse'

export interface TestEngine extends AsyncDisposable {
  mailstore: Mailstore
  deps: ImapDeps
  /** A fresh account with its default mailboxes; its password is PASSWORD. */
  account(): Promise<Account>
  /** A session over an in-process stream. @param changed parts to replace */
  connect(changed?: Partial<ImapDeps>): { client: Duplex; session: ImapSession }
  /** A loopback port that serves IMAP without TLS. */
  listen(): Promise<number>
}

export async function startTestEngine(
  config: Omit<EngineConfigInput, 'hostname' | 'domains'> = {},
): Promise<TestEngine> {
  const stack = new AsyncDisposableStack()
  const postgres = stack.use(await startTestPostgres())
  const logger = pino({ level: 'silent' })
  const metrics = new Registry()
  const engineConfig = parseEngineConfig({ hostname: 'mx.example.org', domains: [{ name: 'example.org' }], ...config })
  await migrate({ url: postgres.url, logger })
  const db = stack.use(await openDatabase({ url: postgres.url, connections: 5, logger }))
  const now = () => new Date()
  const store = stack.use(createAccounts({ db, domains: () => engineConfig.domains, now }))
  // Password hashes are slow on purpose, and tested where they live.
  const authenticate = async (login: string, password: string) =>
    password === PASSWORD ? store.find(login) : undefined
  const accounts: Accounts = { ...store, authenticate }
  const blobs = createPostgresBlobs(db)
  const mailstore = stack.use(createMailstore({ db, blobs, limits: engineConfig.limits, now, logger, metrics }))
  const deps: ImapDeps = { mailstore, accounts, config: () => engineConfig, logger, metrics, now, failureDelayMs: 1 }
  let count = 0

  const connect: TestEngine['connect'] = (changed) => {
    const [client, server] = duplexPair()
    stack.defer(() => void client.destroy())
    return { client, session: serveImap(server, { remoteAddress: '192.0.2.1' }, { ...deps, ...changed }) }
  }

  return {
    mailstore,
    deps,
    connect,
    async account() {
      const { account } = await store.put({ address: `user${++count}@example.org`, aliases: [] })
      return account
    },
    async listen() {
      const server = createServer((socket) => {
        stack.defer(() => void socket.destroy())
        serveImap(socket, { remoteAddress: '127.0.0.1' }, deps)
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      stack.defer(() => void server.close())
      const address = server.address()
      return typeof address === 'object' && address ? address.port : 0
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
