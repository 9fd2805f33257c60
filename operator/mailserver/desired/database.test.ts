import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { databaseCluster } from './database.ts'

const specOf = (...given: Parameters<typeof contextOf>) =>
  databaseCluster(contextOf(...given))?.spec as Record<string, unknown>

test('by default three instances of CloudNativePG’s own image', () => {
  const spec = specOf()
  assert.equal(spec.instances, 3)
  assert.equal('imageName' in spec, false)
  assert.deepEqual(spec.storage, { size: '20Gi' })
})

test('everything that can be said of the database is', () => {
  const spec = specOf(EVERYTHING)
  assert.deepEqual(spec.storage, { size: '50Gi', storageClass: 'fast' })
  assert.deepEqual(spec.walStorage, { size: '10Gi' })
  assert.deepEqual(spec.postgresql, {
    parameters: { shared_buffers: '512MB' },
    synchronous: { method: 'any', number: 1 },
  })
  assert.equal(spec.imageName, 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie')
})

test('its Secrets carry the label by which we watch', () => {
  assert.deepEqual(specOf().inheritedMetadata, { labels: { 'mail.openova.io/server': 'stalwart' } })
})

test('a long name is cut to the 50 characters that CloudNativePG takes, and stays unique', () => {
  const nameOf = (name: string) => {
    const context = contextOf()
    return databaseCluster({ ...context, server: { ...context.server, name } })?.metadata.name ?? ''
  }
  const [a, b] = [nameOf(`${'m'.repeat(49)}a`), nameOf(`${'m'.repeat(49)}b`)]
  assert.ok(a.length <= 50 && /-[0-9a-f]{8}$/.test(a), a)
  assert.notEqual(a, b)
})
