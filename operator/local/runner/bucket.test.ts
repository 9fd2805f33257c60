import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client } from 'minio'
import { silentLogger } from '../../kube/logger.ts'
import { findMinio } from '../s3/minio.ts'
import { type ObjectStore, startObjectStore } from './bucket.ts'
import { openProcessTable } from './process-table.ts'

const found = await findMinio(process.env.PATH)

for (const [name, minio, skip] of [
  ['our own server', undefined, false],
  ['minio', found, found ? false : 'there is no minio on PATH'],
] as const) {
  test(`${name} keeps address, credentials and objects from run to run`, { skip }, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'bucket-test-'))
    const table = openProcessTable(join(dir, 'processes.json'))
    const start = (): Promise<ObjectStore> =>
      startObjectStore(join(dir, 's3'), { minio, table, logger: silentLogger, logPath: join(dir, 'minio.log') })
    const clientOf = ({ endpoint, credentials }: ObjectStore): Client => {
      const { hostname, port } = new URL(endpoint)
      return new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...credentials })
    }
    const first = await start()
    await clientOf(first).makeBucket('mail')
    await clientOf(first).putObject('mail', 'key', 'kept')
    await first.stop()
    const second = await start()
    t.after(() => second.stop().then(() => rm(dir, { recursive: true, force: true })))
    assert.deepEqual([second.endpoint, second.credentials], [first.endpoint, first.credentials])
    assert.equal((await clientOf(second).statObject('mail', 'key')).size, 4)
  })
}

test('a minio that is killed comes back with what it had', {
  skip: found ? false : 'there is no minio on PATH',
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'bucket-test-'))
  const path = join(dir, 'processes.json')
  const table = openProcessTable(path)
  const store = await startObjectStore(join(dir, 's3'), {
    minio: found,
    table,
    logger: silentLogger,
    logPath: join(dir, 'minio.log'),
  })
  t.after(() => store.stop().then(() => rm(dir, { recursive: true, force: true })))
  const { hostname, port } = new URL(store.endpoint)
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...store.credentials })
  await client.makeBucket('mail')
  await client.putObject('mail', 'key', 'kept')
  const pids = [...(await readFile(path, 'utf8')).matchAll(/"pid":\s*(\d+)/g)].map(([, pid]) => Number(pid))
  assert.equal(pids.length, 1)
  process.kill(pids[0] ?? 0, 'SIGKILL')
  for (;;) {
    const size = await client.statObject('mail', 'key').then(
      (found) => found.size,
      () => undefined,
    )
    // The object alone could be answered by the one that is about to die.
    const recorded = await readFile(path, 'utf8')
    if (size === 4 && recorded.includes('"pid"') && !recorded.includes(`${pids[0]}`)) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
})

test('data that minio has made is not started without it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'bucket-test-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  await mkdir(join(dir, 's3'))
  const before = { port: 0, program: 'minio', credentials: { accessKey: 'a', secretKey: 'b' } }
  await writeFile(join(dir, 's3', 'endpoint.json'), JSON.stringify(before))
  const table = openProcessTable(join(dir, 'processes.json'))
  const start = startObjectStore(join(dir, 's3'), { minio: undefined, table, logger: silentLogger, logPath: '' })
  await assert.rejects(start, /minio, which is not on PATH any more/)
})
