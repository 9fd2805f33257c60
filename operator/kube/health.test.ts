import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counter, Registry } from 'prom-client'
import { listenHealth } from './health.ts'

test('probes answer by their checks, metrics by the registry, everything else 404', async () => {
  const registry = new Registry()
  new Counter({ name: 'mine_total', help: 'mine', registers: [registry] }).inc()
  let trouble: string | undefined = 'caches are not filled'
  await using server = await listenHealth({
    port: 0,
    host: '127.0.0.1',
    registry,
    healthz: {},
    readyz: { caches: () => trouble, always: () => undefined },
  })
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    return { status: response.status, text: await response.text() }
  }
  assert.deepEqual(await get('/healthz'), { status: 200, text: 'ok\n' })
  assert.deepEqual(await get('/readyz'), { status: 503, text: '[-]caches: caches are not filled\n[+]always ok\n' })
  trouble = undefined
  assert.equal((await get('/readyz?verbose')).status, 200)
  assert.match((await get('/metrics')).text, /mine_total 1/)
  assert.equal((await get('/secret')).status, 404)
  assert.equal((await get('/healthz', 'POST')).status, 405)
})
