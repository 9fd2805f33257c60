import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CnpgSpec } from '../../api/mail-server-spec.ts'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { databaseCluster } from './database.ts'
import { databasePooler } from './pooler.ts'

interface PoolerSpec {
  cluster: { name: string }
  instances: number
  pgbouncer: { poolMode: string; parameters: Record<string, string> }
  template: {
    spec: { containers: unknown[]; nodeSelector?: unknown; tolerations?: unknown; priorityClassName?: string }
  }
}
const poolerOf = (cnpg: { pooler?: Partial<CnpgSpec['pooler']>; parameters?: Record<string, string> }) =>
  databasePooler(contextOf({ database: { cnpg } }))?.spec as PoolerSpec | undefined

test('none unless it is asked for', () => assert.equal(poolerOf({}), undefined))

test('two PgBouncers in session mode, through which as many connections fit as Postgres takes', () => {
  const spec = poolerOf({ pooler: {} })
  assert.deepEqual([spec?.cluster.name, spec?.instances, spec?.pgbouncer.poolMode], ['stalwart-db', 2, 'session'])
  assert.equal(spec?.pgbouncer.parameters.default_pool_size, '100')
  const wider = poolerOf({ pooler: {}, parameters: { max_connections: '300' } })
  assert.equal(wider?.pgbouncer.parameters.default_pool_size, '300')
})

test('settings of the user come last, and its Pods go where those of Postgres go', () => {
  const spec = databasePooler(contextOf(EVERYTHING))?.spec as PoolerSpec | undefined
  assert.equal(spec?.pgbouncer.parameters.max_client_conn, '2000')
  const { containers, nodeSelector, tolerations, priorityClassName } = spec?.template.spec ?? assert.fail()
  assert.deepEqual(containers, [{ name: 'pgbouncer', resources: { requests: { cpu: '100m', memory: '64Mi' } } }])
  assert.deepEqual(nodeSelector, { disk: 'ssd' })
  assert.equal((tolerations as unknown[]).length, 1)
  assert.equal(priorityClassName, 'data')
})

test('the certificate is good for its names as long as there is one, wanted or not', () => {
  const names = (asked: boolean, pooler: boolean) => {
    const context = contextOf({ database: { cnpg: asked ? { pooler: {} } : {} } }, { pooler })
    const spec = databaseCluster(context)?.spec as { certificates?: { serverAltDNSNames: string[] } } | undefined
    return spec?.certificates?.serverAltDNSNames
  }
  const all = ['stalwart-db-pooler', 'stalwart-db-pooler.communication', 'stalwart-db-pooler.communication.svc']
  assert.deepEqual(names(true, false), all)
  assert.deepEqual(names(false, true), all)
  assert.equal(names(false, false), undefined)
})
