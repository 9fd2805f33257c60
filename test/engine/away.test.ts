import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { freePorts } from '../../operator/local/free-port.ts'
import { launchPostgres } from '../../operator/local/postgres/launch.ts'
import { startEngine } from '../engine.ts'
import { sendMail, subjectsByImap } from './clients.ts'

test('Postgres comes late: unready with the reason; goes away and comes back: answered 451, told, then well again', async () => {
  const base = await mkdtemp(join(tmpdir(), 'mail-away-'))
  const [port = 0] = await freePorts(1)
  const dataDir = join(base, 'data')
  const launch = () => launchPostgres({ dataDir, port, superuserPassword: 'test', logger: pino({ level: 'silent' }) })
  const databaseUrl = `postgres://postgres:test@127.0.0.1:${port}/postgres`
  await using engine = await startEngine({ databaseUrl, waitUntilReady: false })
  let postgres: Awaited<ReturnType<typeof launch>> | undefined
  try {
    const report = await poll(async () => {
      const now = await engine.readyz()
      return now?.checks.database === undefined || now.checks.database === 'waiting for it' ? undefined : now
    })
    assert.equal(report.ready, false)
    assert.match(report.checks.database ?? '', /ECONNREFUSED|refused|reach/i)
    assert.equal((await fetch(`${engine.http}/healthz`)).status, 200, 'it lives')
    assert.equal((await fetch(`${engine.http}/jmap/session`)).status, 503)

    postgres = await launch()
    await engine.ready()
    await engine.putAccount({ address: 'alice@example.org', aliases: [], password: 'secret' })
    const mail = { from: 'x@example.net', to: 'alice@example.org', raw: 'Subject: one\r\n\r\n' }
    await sendMail(engine, mail)

    await postgres.stop()
    const away = await poll(async () => {
      const now = await engine.readyz()
      return now?.checks.database === 'ok' ? undefined : now
    })
    assert.equal(away.ready, true, 'it stays in the Service, to say 451')
    await assert.rejects(sendMail(engine, mail), { responseCode: 451 })

    postgres = await launch()
    await engine.ready()
    await sendMail(engine, { ...mail, raw: 'Subject: two\r\n\r\n' })
    assert.deepEqual(await subjectsByImap(engine, 'alice@example.org'), ['one', 'two'])
    assert.equal(await engine.stop(), 0)
  } finally {
    await postgres?.stop()
    await rm(base, { recursive: true, force: true })
  }
})

/** The test's own timeout bounds it. */
async function poll<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(25)
  }
}
