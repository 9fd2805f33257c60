import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReadiness } from './readiness.ts'

test('ready when every check is well; otherwise each says what is missing', async () => {
  let now = 0
  const readiness = createReadiness({ now: () => now })
  assert.deepEqual(await readiness.report(), { ready: true, checks: {} })
  let problem: string | undefined = 'bucket mail does not exist'
  readiness.set('storage', () => {
    if (problem) throw new Error(problem)
  })
  readiness.set('database', async () => {})
  const missing = { ready: false, checks: { storage: 'bucket mail does not exist', database: 'ok' } }
  assert.deepEqual(await readiness.report(), missing)
  problem = undefined
  assert.deepEqual(await readiness.report(), missing, 'probes in quick succession share an answer')
  now += 1_000
  assert.deepEqual(await readiness.report(), { ready: true, checks: { storage: 'ok', database: 'ok' } })
  readiness.drain()
  assert.deepEqual(await readiness.report(), { ready: false, checks: { process: 'shutting down' } })
})

test('a check that hangs counts as failed', async () => {
  const readiness = createReadiness({ deadlineMs: 5 })
  readiness.set('database', () => new Promise(() => {}))
  assert.deepEqual(await readiness.report(), { ready: false, checks: { database: 'no answer within 5 ms' } })
})

test('what all replicas share must be well once; later it is told, and the replica stays to answer for it', async () => {
  let now = 0
  const readiness = createReadiness({ now: () => now })
  let away = true
  readiness.set(
    'database',
    () => {
      if (away) throw new Error('connection refused')
    },
    { shared: true },
  )
  const told = { database: 'connection refused' }
  assert.deepEqual(await readiness.report(), { ready: false, checks: told })
  away = false
  now += 1_000
  assert.deepEqual(await readiness.report(), { ready: true, checks: { database: 'ok' } })
  away = true
  now += 1_000
  assert.deepEqual(await readiness.report(), { ready: true, checks: told })
})
