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

test('a view held by a part shows the newest valid configuration', () =>
  inDirectory(async (directory) => {
    const file = join(directory, 'config.json')
    await writeFile(file, document('a.example.org'))
    const registry = new Registry()
    using config = await watchConfig({ file, log, registry, intervalMs: 5 })
    const { view, limits } = config
    const changed = new Promise<void>((resolve) => config.onChange(() => resolve()))
    await writeFile(file, document('b.example.org', 2000))
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
    await writeFile(file, '{"hostname":"a.example.org"}')
    while (!config.problem()) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.match(config.problem() ?? '', /domains/)
    assert.equal(config.view.hostname, 'a.example.org')
    assert.match(await registry.metrics(), /^mail_config_valid 0$/m)
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
