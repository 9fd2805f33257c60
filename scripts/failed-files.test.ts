/** Which files are to be run again, told by a real `node --test`. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'

const directory = mkdtempSync(join(tmpdir(), 'failed-files-'))
after(() => rmSync(directory, { recursive: true }))

const FILES = {
  'shared.mjs':
    "import { test } from 'node:test'; export const fails = () => test('a', () => { throw new Error('no') })",
  'through-another.test.mjs': "import { fails } from './shared.mjs'; fails()",
  'twice.test.mjs': "import { fails } from './shared.mjs'; fails(); fails()",
  'crashes.test.mjs': 'process.exit(7)',
  'passes.test.mjs': "import { test } from 'node:test'; test('a', () => {})",
}

test('the files that failed are told once each, also where the test is written elsewhere or nothing was run', () => {
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(directory, name), text)
  const list = join(directory, 'failed')
  const reporter = [
    `--test-reporter=${join(import.meta.dirname, 'failed-files.ts')}`,
    `--test-reporter-destination=${list}`,
  ]
  const files = Object.keys(FILES).filter((name) => name.includes('.test.'))
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  spawnSync(process.execPath, ['--test', ...reporter, ...files], { cwd: directory, env })
  const failed = readFileSync(list, 'utf8').trim().split('\n')
  const names = failed.map((file) => basename(file)).sort()
  assert.deepEqual(names, ['crashes.test.mjs', 'through-another.test.mjs', 'twice.test.mjs'])
})
