/** .ci/run with programs in the place of npm's: what whoever sees only its last lines learns. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'

const directory = mkdtempSync(join(tmpdir(), 'ci-'))
after(() => rmSync(directory, { recursive: true }))
writeFileSync(
  join(directory, 'fails.test.mjs'),
  `import assert from 'node:assert/strict'
   import { test } from 'node:test'
   test('what holds', () => {})
   test('what does not', () => assert.equal(1, 2, 'one is not two'))`,
)

/** @param script what stands for npm, in sh: its words are "test" or "run check" and the like */
function ci(script: string) {
  writeFileSync(join(directory, 'npm'), `#!/bin/sh\ncase "$*" in\n${script}\nesac\n`, { mode: 0o755 })
  // A test within a test would not print what a person sees.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  const env = { ...inherited, PATH: [directory, process.env.PATH].join(delimiter) }
  const { status, stdout } = spawnSync(join(import.meta.dirname, '../.ci/run'), { env, encoding: 'utf8' })
  return { status, end: stdout.slice(stdout.indexOf('=== summary')) }
}

test('when all is well the summary is the end, and says what was skipped', () => {
  const { status, end } = ci("'run test:node'*) echo 'SKIPPED: node tests: no tools';;")
  assert.equal(status, 0)
  assert.match(
    end,
    /^=== summary\npassed: npm test .*\npassed: npm run check .*\npassed: npm run test:cluster .*\nSKIPPED: node tests: no tools\n$/,
  )
})

test('after the summary stand the failing tests of each failed step with their errors, and of other programs the last words', () => {
  const { status, end } = ci(
    `'test -- --again') echo 'unit tests: 1 files'; '${process.execPath}' --test '${join(directory, 'fails.test.mjs')}'
       code=$?; echo; echo 'whole-system tests: 1 files'; echo 'of no interest'; exit $code;;
     'run check') seq 1000; echo 'a.ts(1,1): error TS2322'; exit 2;;`,
  )
  assert.equal(status, 1)
  const [summary = '', tests = '', check = ''] = end.split(/\n\n=== /)
  assert.match(summary, /^FAILED: npm test .*\nFAILED: npm run check /m)
  assert.match(tests, /^npm test\n✖ failing tests:\n[\s\S]*✖ what does not [\s\S]*one is not two/)
  assert.doesNotMatch(tests, /what holds|of no interest/)
  assert.match(check, /^npm run check\n952\n[\s\S]*\na\.ts\(1,1\): error TS2322\n$/)
})

test('a file that passed when it was run again counts, and is told with its errors of the first time', () => {
  const { status, end } = ci(
    `'test -- --again') echo 'unit tests: 1 files'; '${process.execPath}' --test '${join(directory, 'fails.test.mjs')}'
       echo; echo 'unit tests again: 1 files'; echo 'FLAKY: fails.test.mjs failed, and passed when run again';;`,
  )
  assert.equal(status, 0)
  assert.match(
    end,
    /^passed: npm test .*\nFLAKY: fails\.test\.mjs failed, and passed when run again\npassed: npm run check /m,
  )
  assert.match(end, /\n\n=== npm test, the first time\n✖ failing tests:\n[\s\S]*✖ what does not [\s\S]*one is not two/)
})

test('what a failed step lists is bounded', () => {
  const { end } = ci("'test -- --again') echo '✖ failing tests:'; seq 1000; exit 1;;")
  assert.match(end, /\n149\n$/)
})
