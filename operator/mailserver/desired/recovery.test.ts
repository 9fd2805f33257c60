import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailServerSpecInput } from '../../api/mail-server-spec.ts'
import type { KubeObject } from '../../kube/types.ts'
import { contextOf } from '../testing/context.ts'
import { backupStore, databaseCluster, scheduledBackup } from './database.ts'
import { recoveryStore } from './recovery.ts'

const store = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } }
const source = { ...store, serverName: 'stalwart-db' }
const backup = { ...store, serverName: 'stalwart-2' }
type Recovery = NonNullable<NonNullable<NonNullable<MailServerSpecInput['database']>['cnpg']>['recovery']>

function clusterOf(recovery: Recovery | undefined, live?: KubeObject): KubeObject | undefined {
  return databaseCluster(
    contextOf({ database: { cnpg: { backup, ...(recovery ? { recovery } : {}) } } }, { cluster: live }),
  )
}
interface Spec {
  bootstrap: { initdb?: unknown; recovery?: { source: string; recoveryTarget?: unknown } }
  externalClusters?: { name: string; plugin: { parameters: Record<string, string> } }[]
  plugins: { parameters: Record<string, string> }[]
}
const specOf = (cluster: KubeObject | undefined) => (cluster?.spec ?? assert.fail('no Cluster')) as unknown as Spec

for (const [target, want] of [
  [{}, undefined],
  [{ targetTime: '2026-06-01T08:00:00Z' }, { targetTime: '2026-06-01T08:00:00Z' }],
  [{ targetLSN: '0/5000060' }, { targetLSN: '0/5000060' }],
  [
    { targetName: 'before', backupID: '20260601T020000' },
    { targetName: 'before', backupID: '20260601T020000' },
  ],
] as const) {
  test(`made from backups up to ${JSON.stringify(target)}, and archived elsewhere`, () => {
    const { bootstrap, externalClusters, plugins } = specOf(clusterOf({ ...source, ...target }))
    assert.equal(bootstrap.initdb, undefined)
    assert.deepEqual(bootstrap.recovery?.recoveryTarget, want)
    const [external] = externalClusters ?? []
    assert.equal(external?.name, bootstrap.recovery?.source)
    assert.deepEqual(external?.plugin.parameters, {
      barmanObjectName: 'stalwart-db-recovery',
      serverName: 'stalwart-db',
    })
    assert.deepEqual(plugins[0]?.parameters, { barmanObjectName: 'stalwart-db', serverName: 'stalwart-2' })
  })
}

test('once made, taking the recovery out of the spec changes nothing', () => {
  const made = clusterOf(source)
  assert.deepEqual(clusterOf(undefined, made), made)
  assert.deepEqual(clusterOf(source, made), made)
})

test('an empty database stays what it is, and a recovery beside it touches nothing of it', () => {
  const empty = clusterOf(undefined)
  assert.deepEqual(clusterOf(undefined, empty), empty)
  const pending = contextOf({ database: { cnpg: { backup, recovery: source } } }, { cluster: empty })
  for (const make of [databaseCluster, backupStore, scheduledBackup, recoveryStore]) {
    assert.equal(make(pending), undefined, make.name)
  }
})

/** Under which name the Cluster archives that is rendered for a backup `asked` for while there is `live`. */
function archiveOf(asked: string | undefined, live: KubeObject | undefined): string | undefined {
  const given = { ...store, ...(asked ? { serverName: asked } : {}) }
  const cluster = databaseCluster(contextOf({ database: { cnpg: { backup: given } } }, { cluster: live }))
  return specOf(cluster).plugins[0]?.parameters.serverName
}

test('a Cluster archives under one name all its life', () => {
  const plain = databaseCluster(contextOf({ database: { cnpg: { backup: store } } }))
  assert.equal(archiveOf(undefined, undefined), undefined)
  assert.equal(archiveOf('stalwart-2', plain), undefined, 'a recovery that was asked for and taken back')
  assert.equal(archiveOf(undefined, clusterOf(source)), 'stalwart-2')
})

test('backups begun after a recovery do not go where it was read from', () => {
  const restored = databaseCluster(contextOf({ database: { cnpg: { recovery: source } } }))
  assert.match(archiveOf(undefined, restored) ?? '', /^stalwart-db-recovery-[0-9a-f]{8}$/)
  assert.equal(archiveOf('stalwart-3', restored), 'stalwart-3')
})

test('another recovery is another one', () => {
  const made = clusterOf(source)
  assert.equal(clusterOf({ ...source, targetTime: '2026-06-01T08:00:00Z' }, made), undefined)
})

test('the store that is read is the one that is named', () => {
  const context = contextOf({ database: { cnpg: { recovery: { ...source, endpoint: 'https://old.example' } } } })
  const spec = recoveryStore(context)?.spec as { configuration: Record<string, unknown> } | undefined
  assert.equal(spec?.configuration.destinationPath, 's3://backups/')
  assert.equal(spec?.configuration.endpointURL, 'https://old.example')
})
