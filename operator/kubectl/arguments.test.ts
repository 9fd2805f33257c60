import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readInvocation, USAGE, UsageError } from './arguments.ts'
import { EXIT } from './run.ts'

const read = (line: string) => readInvocation(line === '' ? [] : line.split(' '))

for (const [line, message] of [
  ['stat', 'there is no command "stat"'],
  ['queue', 'queue: the NAME of a MailServer is needed'],
  ['dkim rotate', 'dkim rotate: the NAME of a MailServer is needed'],
  ['status a b', 'status: one NAME at most, not a b'],
  ['status a -A', '--all-namespaces goes without NAME'],
  ['status -A -n x', '--all-namespaces goes without --namespace'],
  ['status -o xml', '--output: "xml" is neither json nor text'],
  ['status --zone', '--zone belongs to dns'],
  ['dns a --file x', '--file belongs to report'],
  ['status ../../x', '"../../x" is no name of a MailServer'],
] as const) {
  test(`"${line}" is refused: ${message}`, () => assert.throws(() => read(line), new UsageError(message)))
}

test('an unknown flag is named', () => assert.throws(() => read('status --wide'), /'--wide'/))

for (const [line, command] of [
  ['status', { verb: 'status', name: undefined }],
  ['dkim', { verb: 'dkim', name: undefined }],
  ['dkim rotate stalwart', { verb: 'rotate', name: 'stalwart' }],
  ['dns stalwart --zone', { verb: 'zone', name: 'stalwart' }],
  ['report stalwart --file x.yaml', { verb: 'report', name: 'stalwart', file: 'x.yaml' }],
] as const) {
  test(`"${line}" is understood`, () => {
    const invocation = read(line)
    assert.deepEqual(typeof invocation === 'object' && invocation.command, command)
  })
}

test('no command, and --help with whatever else, is help', () => {
  for (const line of ['', '--help', 'status -h']) assert.equal(read(line), 'help')
})

test('every verb is in the usage', () => {
  for (const verb of ['status', 'dns', 'dkim', 'dkim rotate', 'queue', 'pause', 'resume', 'report']) {
    assert.ok(USAGE.includes(`kubectl mail ${verb} `), verb)
  }
})

test('kubectl-mail.md has every command, flag and exit code of the usage', () => {
  const page = readFileSync(new URL('../../docs/kubectl-mail.md', import.meta.url), 'utf8')
  const flags = [...USAGE.matchAll(/--[a-z-]+/g)].map(([flag]) => flag)
  assert.ok(flags.length > 5)
  assert.deepEqual(
    flags.filter((flag) => !page.includes(flag)),
    [],
  )
  for (const [, words = ''] of USAGE.matchAll(/^ {2}kubectl mail ([a-z]+(?: rotate)?)/gm)) {
    assert.ok(page.includes(`\`kubectl mail ${words} `), words)
  }
  for (const code of Object.values(EXIT)) assert.match(page, new RegExp(`^\\| ${code} \\|`, 'm'))
})
