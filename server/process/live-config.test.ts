import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { watchConfig } from './live-config.ts'

const log = pino({ level: 'silent' })
const document = (hostname: string, messageBytes = 1000) =>
  JSON.stringify({ hostname, domains: [{ name: 'example.org' }], limits: { messageBytes } })

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'mail-config-'))
  try {
    await work(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** As Kubernetes changes a mounted file: whole, and another one. A half-written one would be read as it is. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

test('a view held by a part shows the newest valid configuration', () =>
  inDirectory(async (directory) => {
    const file = join(directory, 'config.json')
    await writeFile(file, document('a.example.org'))
    const registry = new Registry()
    using config = await watchConfig({ file, log, registry, intervalMs: 5 })
    const { view, limits } = config
    const changed = new Promise<void>((resolve) => config.onChange(() => resolve()))
    await replace(file, document('b.example.org', 2000))
    await changed
    assert.equal(view.hostname, 'b.example.org')
    assert.equal(limits.messageBytes, 2000)
    assert.equal(view.limits.messageBytes, 2000)
  }))

test('an invalid file is told and counted, and the one before is kept', () =>
  inDirectory(async (directory) => {
    const file = join(directory, 'config.json')
    await writeFile(file, document('a.example.org'))
    const registry = new Registry()
    using config = await watchConfig({ file, log, registry, intervalMs: 5 })
    await replace(file, '{"hostname":"a.example.org"}')
    while (!config.problem()) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.match(config.problem() ?? '', /domains/)
    assert.equal(config.view.hostname, 'a.example.org')
    assert.match(await registry.metrics(), /^mail_config_valid 0$/m)
  }))

test('a file of a newer operator is used without what is not known, and that is counted', () =>
  inDirectory(async (directory) => {
    const file = join(directory, 'config.json')
    await writeFile(file, JSON.stringify({ ...JSON.parse(document('a.example.org')), quarantine: {}, archive: 1 }))
    const registry = new Registry()
    using config = await watchConfig({ file, log, registry })
    assert.equal(config.view.hostname, 'a.example.org')
    const metrics = await registry.metrics()
    assert.match(metrics, /^mail_config_valid 1$/m)
    assert.match(metrics, /^mail_config_ignored_fields 2$/m)
  }))

test('a file behind a symlink that is swapped, as Kubernetes does, is seen', () =>
  inDirectory(async (directory) => {
    const at = (name: string) => join(directory, name)
    await writeFile(at('one'), document('a.example.org'))
    await writeFile(at('two'), document('b.example.org'))
    await symlink('one', at('config.json'))
    using config = await watchConfig({ file: at('config.json'), log, registry: new Registry(), intervalMs: 5 })
    const changed = new Promise<void>((resolve) => config.onChange(() => resolve()))
    await symlink('two', at('new'))
    await rename(at('new'), at('config.json'))
    await changed
    assert.equal(config.view.hostname, 'b.example.org')
  }))

test('without a file there is a reason, and the view refuses to be read', () =>
  inDirectory(async (directory) => {
    using config = await watchConfig({ file: join(directory, 'none.json'), log, registry: new Registry() })
    assert.match(config.problem() ?? '', /ENOENT/)
    assert.throws(() => config.view.hostname, /no valid configuration/)
  }))
