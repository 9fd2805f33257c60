import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'

/** A process that listens for the end, says how it was asked, takes its time, and exits with the code it was told. */
function start(then = '') {
  const module = JSON.stringify(join(import.meta.dirname, 'stop-signal.ts'))
  const program = `
    import { listenForStop } from ${module}
    const say = (fields, text) => console.log(text, fields.err?.message ?? '')
    const stop = listenForStop({ info: say, warn: say, fatal: say })
    setInterval(() => {}, 1000)
    console.log('ready')
    ${then}
    const code = await stop.stopped
    console.log('draining')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    process.exit(code)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const until = async (text: string) => {
    while (!output.includes(text)) await once(child.stdout, 'data')
  }
  return { child, until, exited: once(child, 'exit') }
}

test('SIGTERM asks to stop, and the process ends with 0 when it has drained', async () => {
  const { child, until, exited } = start()
  await until('ready')
  child.kill('SIGTERM')
  await until('draining')
  child.stdin.write('\n')
  assert.deepEqual(await exited, [0, null])
})

test('a second SIGTERM ends the process at once', async () => {
  const { child, until, exited } = start()
  await until('ready')
  child.kill('SIGTERM')
  await until('draining')
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [1, null])
})

test('an unhandled error is logged, and the process drains and ends with 1', async () => {
  const { child, until, exited } = start("setImmediate(() => { throw new Error('a bug') })")
  await until('unhandled error a bug')
  await until('draining')
  child.stdin.write('\n')
  assert.deepEqual(await exited, [1, null])
})
