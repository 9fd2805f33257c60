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

for (const [what, cnpg, want] of [
  ['one standby of several, and none when all are away', {}, { method: 'any', number: 1, dataDurability: 'preferred' }],
  ['none where there is none', { instances: 1 }, undefined],
  ['none when asked not to', { synchronousReplicas: 0 }, undefined],
  ['what is asked for', { synchronousReplicas: 2 }, { method: 'any', number: 2 }],
  ['waiting, when asked to', { dataDurability: 'required' }, { method: 'any', number: 1, dataDurability: 'required' }],
] as const) {
  test(`a commit waits for ${what}`, () => {
    const { postgresql } = specOf({ database: { cnpg } }) as { postgresql?: { synchronous?: unknown } }
    assert.deepEqual(postgresql?.synchronous, want)
  })
}

test('everything that can be said of the database is', () => {
  const spec = specOf(EVERYTHING)
  assert.deepEqual(spec.storage, { size: '50Gi', storageClass: 'fast' })
  assert.deepEqual(spec.walStorage, { size: '10Gi' })
  assert.deepEqual(spec.postgresql, {
    parameters: { shared_buffers: '512MB' },
    synchronous: { method: 'any', number: 1, dataDurability: 'preferred' },
  })
  assert.deepEqual(spec.affinity, {
    enablePodAntiAffinity: true,
    podAntiAffinityType: 'required',
    topologyKey: 'topology.kubernetes.io/zone',
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ key: 'database', operator: 'Exists', effect: 'NoSchedule' }],
  })
  assert.deepEqual([spec.primaryUpdateMethod, spec.priorityClassName], ['switchover', 'data'])
  assert.equal(spec.imageName, 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie')
})

test('an image from a catalog, in place of a name', () => {
  const imageCatalogRef = { kind: 'ClusterImageCatalog' as const, name: 'postgresql', major: 18 }
  const spec = specOf({ database: { cnpg: { imageCatalogRef } } })
  assert.deepEqual(spec.imageCatalogRef, { apiGroup: 'postgresql.cnpg.io', ...imageCatalogRef })
  assert.equal('imageName' in spec, false)
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
