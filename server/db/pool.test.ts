import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { freePorts } from '../../operator/local/free-port.ts'
import { startTestPostgres, type TestPostgres } from '../../test/postgres.ts'
import { type Database, Unavailable } from './database.ts'
import { openDatabase } from './pool.ts'

const logger = pino({ level: 'silent' })
let postgres: TestPostgres
let db: Database
before(async () => {
  postgres = await startTestPostgres()
  db = await openDatabase({ url: postgres.url, connections: 4, logger })
})
after(async () => {
  await db[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

/** Ends all other connections to this database, as a failover does. */
const killConnections = () =>
  db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

test('nobody listens: Unavailable, and the pool stays usable', async () => {
  // Not one the system gave and took back: those it gives to the next that asks.
  const [nobody] = await freePorts(1)
  await using away = await openDatabase({ url: `postgres://x@127.0.0.1:${nobody}/x`, connections: 1, logger })
  await assert.rejects(away.query('select 1'), Unavailable)
  await assert.rejects(
    away.transaction((tx) => tx.query('select 1')),
    Unavailable,
  )
  await assert.rejects(away.ping(), Unavailable)
})

test('a wrong statement is an error of its own, not Unavailable', async () => {
  await assert.rejects(
    db.query('select nonsense'),
    (error) => !(error instanceof Unavailable) && /nonsense/.test(String(error)),
  )
})

test('a transaction is all or nothing', async () => {
  await db.query('create table entry (n int)')
  await db.transaction((tx) => tx.query('insert into entry values (1)'))
  const failing = db.transaction(async (tx) => {
    await tx.query('insert into entry values (2)')
    throw new Error('changed my mind')
  })
  await assert.rejects(failing, /changed my mind/)
  assert.deepEqual(await db.query('select n from entry'), [{ n: 1 }])
})

test('a transaction whose statement failed unnoticed does not report a commit', async () => {
  const swallowing = db.transaction(async (tx) => {
    await tx.query('select 1/0').catch(() => {})
  })
  await assert.rejects(swallowing, /failed before its commit/)
})

test('of two transactions in a deadlock one is run again, and both commit', async () => {
  await db.query('create table pair as select id, 0 as n from generate_series(1, 2) as id')
  const bothHoldOne = Promise.withResolvers<void>()
  let holding = 0
  const crossing = (first: number, second: number) =>
    db.transaction(async (tx) => {
      await tx.query('update pair set n = n + 1 where id = $1', [first])
      if (++holding >= 2) bothHoldOne.resolve()
      await bothHoldOne.promise
      await tx.query('update pair set n = n + 1 where id = $1', [second])
    })
  await Promise.all([crossing(1, 2), crossing(2, 1)])
  assert.deepEqual(await db.query('select n from pair order by id'), [{ n: 2 }, { n: 2 }])
})

test('a connection that dies in a transaction makes it Unavailable, and the next one works', async () => {
  const dying = db.transaction(async (tx) => {
    const [row] = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
    await db.query('select pg_terminate_backend($1)', [row?.pid])
    await tx.query('select 1')
  })
  await assert.rejects(dying, Unavailable)
  assert.deepEqual(await db.query('select 1 as one'), [{ one: 1 }])
})

test('after a change of the password open connections serve who would need more; with none it is Unavailable', async () => {
  await db.query(`create role rotated login password 'old'`)
  const url = new URL(postgres.url)
  url.username = 'rotated'
  url.password = 'old'
  await using used = await openDatabase({ url: url.href, connections: 4, logger })
  await using unused = await openDatabase({ url: url.href, connections: 4, logger })
  await used.query('select 1')
  await db.query(`alter role rotated password 'new'`)
  const asking = Array.from({ length: 4 }, () => used.query('select 1 as one'))
  assert.deepEqual((await Promise.all(asking)).flat(), Array(4).fill({ one: 1 }))
  await assert.rejects(unused.query('select 1'), Unavailable)
})

test('notifications arrive, and after the connection was lost listeners are told and hear again', async () => {
  const heard: string[] = []
  let gaps = 0
  const stop = db.listen(
    'news',
    (payload) => heard.push(payload),
    () => gaps++,
  )
  const isHeard = async (payload: string) => {
    await db.query('select pg_notify($1, $2)', ['news', payload])
    return heard.includes(payload)
  }
  await until(() => isHeard('before'))
  assert.equal(gaps, 1, 'it has begun')
  await killConnections()
  await until(() => gaps === 2)
  await until(() => isHeard('after'))
  stop()
})

test('a channel that is subscribed to before, while or after the connection is made is listened to, and that is told', async () => {
  await using late = await openDatabase({ url: postgres.url, connections: 1, logger })
  const heard = new Set<string>()
  const begun = new Set<string>()
  const channels: string[] = []
  const subscribe = () => {
    const channel = `channel${channels.length}`
    channels.push(channel)
    late.listen(
      channel,
      () => heard.add(channel),
      () => begun.add(channel),
    )
  }
  const tell = async (some: readonly string[]) => {
    for (const channel of some) await db.query('select pg_notify($1, $2)', [channel, ''])
  }
  subscribe()
  while (heard.size === 0) {
    if (channels.length < 10) subscribe()
    await tell(channels.slice(0, 1))
  }
  subscribe()
  while (heard.size < channels.length) await tell(channels)
  assert.deepEqual([...begun].sort(), channels.toSorted())
})

test('the owner lock is held while the process lives, again after a lost connection', async () => {
  const isHeld = async () => {
    const rows = await db.query(`select from pg_locks where locktype = 'advisory' and objid = $1::int::oid`, [db.owner])
    return rows.length === 1
  }
  await until(isHeld)
  await killConnections()
  await until(isHeld)
})

test('closing while the connections are still being made ends', async () => {
  for (let round = 0; round < 20; round++) {
    const short = await openDatabase({ url: postgres.url, connections: 1, logger })
    const statement = round % 2 ? short.query('select 1') : undefined
    await statement
    await short[Symbol.asyncDispose]()
  }
})
