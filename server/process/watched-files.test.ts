import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { watchFiles } from './watched-files.ts'

test('a file that is replaced while it is read for the first time is read again', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'watched-files-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = join(directory, 'file')
  const replace = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  await replace('old')
  const seen: string[] = []
  const again = Promise.withResolvers<void>()
  const read = async () => {
    seen.push(await readFile(file, 'utf8'))
    if (seen.length === 1) await replace('new')
    else again.resolve()
  }
  const stop = await watchFiles({ paths: () => [file], read, intervalMs: 1 })
  // The timer alone does not keep the process.
  const alive = setInterval(() => {}, 1000)
  await again.promise
  clearInterval(alive)
  stop()
  assert.deepEqual(seen, ['old', 'new'])
})
