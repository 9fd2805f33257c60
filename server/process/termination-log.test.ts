import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { writeTerminationLog } from './termination-log.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'termination-log-'))
})
after(() => rm(directory, { recursive: true, force: true }))

test('no more than 4096 bytes are kept, and no character is cut in two', async () => {
  const path = join(directory, 'long')
  await writeFile(path, '')
  await writeTerminationLog(path, `a${'ä'.repeat(4096)}`)
  assert.equal(await readFile(path, 'utf8'), `a${'ä'.repeat(2047)}`)
})

test('a file that is not there is not made', async () => {
  await writeTerminationLog(join(directory, 'absent'), 'words')
  assert.ok(!(await readdir(directory)).includes('absent'))
})
