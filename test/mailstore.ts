/** The engine's store on a real Postgres, with two accounts, for tests of the store and of the protocols above it. */
import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { Account, Accounts } from '../server/accounts/accounts.ts'
import { createAccounts } from '../server/accounts/store.ts'
import type { Blobs } from '../server/blob/blobs.ts'
import { createPostgresBlobs } from '../server/blob/postgres.ts'
import { type EngineConfig, type EngineConfigInput, parseEngineConfig } from '../server/config.ts'
import type { Database } from '../server/db/database.ts'
import { migrate } from '../server/db/migrate.ts'
import { openDatabase } from '../server/db/pool.ts'
import { createMailstore } from '../server/mailstore/mailstore.ts'
import type { Mailstore } from '../server/mailstore/types.ts'
import { startTestPostgres } from './postgres.ts'

export interface TestStore extends AsyncDisposable {
  url: string
  config: EngineConfig
  db: Database
  blobs: Blobs
  accounts: Accounts
  mailstore: Mailstore
  registry: Registry
  /** alice@example.org with alias ally@example.org, and bob@example.org; the passwords are 'alice-password', 'bob-password'. */
  alice: Account
  bob: Account
  /** A second replica on the same database. Disposed with the store. */
  replica(): Promise<Replica>
}

export interface Replica {
  db: Database
  mailstore: Mailstore
  accounts: Accounts
}

export interface TestStoreOptions {
  config?: Partial<EngineConfigInput>
  now?: () => Date
  /** Instead of the Postgres driver. */
  blobs?: (db: Database) => Blobs
}

export async function startTestStore(options: TestStoreOptions = {}): Promise<TestStore> {
  await using resources = new AsyncDisposableStack()
  const postgres = resources.use(await startTestPostgres())
  const { url } = postgres
  const logger = pino({ level: 'silent' })
  const now = options.now ?? (() => new Date())
  const config = parseEngineConfig({
    hostname: 'mail.example.org',
    domains: [{ name: 'example.org' }],
    ...options.config,
  })
  await migrate({ url, logger })

  async function openReplica(registry: Registry, owner: AsyncDisposableStack) {
    const db = owner.use(await openDatabase({ url, connections: 8, logger, metrics: registry }))
    const blobs = options.blobs?.(db) ?? createPostgresBlobs(db)
    const mailstore = owner.use(createMailstore({ db, blobs, limits: config.limits, now, logger, metrics: registry }))
    const accounts = owner.use(createAccounts({ db, domains: () => config.domains, now }))
    return { db, blobs, mailstore, accounts }
  }

  const registry = new Registry()
  const { db, blobs, mailstore, accounts } = await openReplica(registry, resources)
  const put = async (address: string, aliases: string[]) =>
    (await accounts.put({ address, aliases, password: `${address.split('@')[0]}-password` })).account
  const alice = await put('alice@example.org', ['ally@example.org'])
  const bob = await put('bob@example.org', [])
  const owned = resources.move()
  return {
    url,
    config,
    db,
    blobs,
    accounts,
    mailstore,
    registry,
    alice,
    bob,
    replica: () => openReplica(new Registry(), owned),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
