import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openLogFile } from './log-file.ts'
import { startProcess } from './process.ts'
import { endLeftovers, openProcessTable, processBegan } from './process-table.ts'

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'process-test-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Until no process has the pid any more, zombies aside. */
async function gone(pid: number): Promise<void> {
  while (processBegan(pid) !== undefined) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Starts `child` as the runner does, in a process that can be killed. Prints the child's pid. */
const RUNNER = (dir: string, child: string): string => `
  import { openLogFile } from '${import.meta.dirname}/log-file.ts'
  import { openProcessTable } from '${import.meta.dirname}/process-table.ts'
  import { startProcess } from '${import.meta.dirname}/process.ts'
  const running = await startProcess({
    command: process.execPath, args: ['-e', ${JSON.stringify(child)}], cwd: '/', env: {},
    log: openLogFile('${dir}/child.log'), table: openProcessTable('${dir}/processes.json'),
  })
  console.log(running.pid)
  setInterval(() => {}, 1000)`

test('a process ends with its runner, also when that is killed', async (t) => {
  const dir = await temporary(t)
  const runner = spawn(process.execPath, ['--input-type=module', '-e', RUNNER(dir, 'setInterval(() => {}, 1000)')])
  const [pid] = await once(runner.stdout, 'data')
  runner.kill('SIGKILL')
  await gone(Number(pid))
})

test('what a killed runner left is ended by the next start, and a reused pid is not', async (t) => {
  const dir = await temporary(t)
  const path = join(dir, 'processes.json')
  const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true })
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true })
  t.after(() => stranger.kill('SIGKILL'))
  await Promise.all([once(left, 'spawn'), once(stranger, 'spawn')])
  const entries = [
    { pid: left.pid, began: processBegan(left.pid ?? 0) },
    { pid: stranger.pid, began: 'at another time' },
  ]
  await writeFile(path, JSON.stringify(entries))
  assert.equal(await endLeftovers(path, 2_000), 1)
  if (left.exitCode === null && left.signalCode === null) await once(left, 'exit')
  assert.equal(stranger.exitCode, null)
})

test('a process that ignores SIGTERM is killed after its grace', async (t) => {
  const dir = await temporary(t)
  const log = openLogFile(join(dir, 'log'))
  const running = await startProcess({
    command: process.execPath,
    args: ['-e', 'process.on("SIGTERM", () => console.log("no")); console.log("up"); setInterval(() => {}, 1000)'],
    cwd: dir,
    env: {},
    log,
    table: openProcessTable(join(dir, 'processes.json')),
  })
  while (!log.lastLines().includes('up')) await new Promise((resolve) => setTimeout(resolve, 20))
  process.kill(running.pid, 'SIGTERM')
  while (!log.lastLines().includes('no')) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(await running.stop(300), { code: null, signal: 'SIGKILL' })
  assert.equal(await readFile(join(dir, 'processes.json'), 'utf8'), '[]')
})

test('a log file is moved aside when it is full', async (t) => {
  const path = join(await temporary(t), 'deep', 'log')
  const log = openLogFile(path, 10)
  for (const line of ['one\n', 'two\n', 'three\n']) log.write(line)
  log.close()
  assert.equal(await readFile(path, 'utf8'), 'three\n')
  assert.equal(await readFile(`${path}.1`, 'utf8'), 'one\ntwo\n')
  assert.ok(!existsSync(`${path}.2`))
})
