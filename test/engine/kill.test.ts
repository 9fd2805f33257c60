import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Engine, startEngine } from '../engine.ts'
import { sendMail, subjectsByImap, subjectsByJmap } from './clients.ts'

/** Sends until it is acknowledged, as a mail server does. */
async function sendUntilAccepted(engine: Engine, subject: string): Promise<void> {
  const raw = `From: x@example.net\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.net>\r\n\r\n${subject}\r\n`
  for (;;) {
    try {
      return await sendMail(engine, { from: 'x@example.net', to: 'alice@example.org', raw })
    } catch {
      await sleep(50)
    }
  }
}

async function workerPids(primary: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const parents = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      return { pid: Number(pid), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }
    }),
  )
  return parents.filter(({ parent }) => parent === primary).map(({ pid }) => pid)
}

test('engines are killed while mail comes in: every message is there exactly once', async (t) => {
  await using engine = await startEngine({ workers: 2 })
  const subjects = Array.from({ length: 120 }, (_, index) => `m${String(index).padStart(3, '0')}`)
  const queue = [...subjects]
  let accepted = 0
  const senders = Array.from({ length: 4 }, async () => {
    for (let subject = queue.shift(); subject; subject = queue.shift()) {
      await sendUntilAccepted(engine, subject)
      accepted++
    }
  })
  const until = async (count: number) => {
    while (accepted < count) await sleep(5)
  }
  await until(20)
  const [worker] = await workerPids(engine.process.pid ?? 0)
  assert.ok(worker, 'there are workers')
  process.kill(worker, 'SIGKILL')
  t.diagnostic(`a worker was killed after ${accepted} messages`)
  await until(60)
  const workers = await workerPids(engine.process.pid ?? 0)
  engine.process.kill('SIGKILL')
  t.diagnostic(`the primary was killed after ${accepted} messages`)
  await once(engine.process, 'exit')
  for (const pid of workers) while (await isAlive(pid)) await sleep(10)
  await engine.restart()
  await Promise.all(senders)
  assert.deepEqual(await subjectsByJmap(engine, 'alice@example.org'), subjects)
  assert.deepEqual(await subjectsByImap(engine, 'alice@example.org'), subjects)
})

/** A zombie is not alive. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) Z /.test(stat)
}
