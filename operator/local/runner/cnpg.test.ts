import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import pg from 'pg'
import { createKubeClient, type KubeApi } from '../../kube/client.ts'
import { silentLogger } from '../../kube/logger.ts'
import { CustomResourceDefinition, Secret } from '../../kube/resources.ts'
import { type ApiServer, startApiServer } from '../apiserver/server.ts'
import { type Cluster, type Cnpg, CnpgCluster, createCnpg } from './cnpg.ts'
import { cnpgClusterCrd } from './cnpg-crd.ts'

const key = { namespace: 'default', name: 'mail-db' }
const again: string[] = []
const told: string[] = []
let dir: string
let api: ApiServer
let client: KubeApi
let cnpg: Cnpg

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cnpg-test-'))
  api = await startApiServer({ port: 0 })
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig)
  client = createKubeClient({ kubeConfig, userAgent: 'cnpg-test' })
  await client.create(CustomResourceDefinition, cnpgClusterCrd)
  cnpg = create()
})
after(async () => {
  await cnpg.stop()
  await client[Symbol.asyncDispose]()
  await api.close()
  await rm(dir, { recursive: true, force: true })
})

function create(): Cnpg {
  const deps = { client, logger: silentLogger, directory: dir, now: () => new Date() }
  return createCnpg({ ...deps, progress: (message) => told.push(message), again: ({ name }) => again.push(name) })
}

async function secretText(name: string): Promise<string> {
  const { data } = await client.get(Secret, { ...key, name: 'mail-db-app' })
  return Buffer.from(data?.[name] ?? '', 'base64').toString('utf8')
}

async function ask(statement: string): Promise<unknown[]> {
  const connection = new pg.Client({ connectionString: await secretText('uri') })
  await connection.connect()
  try {
    return (await connection.query(statement)).rows
  } finally {
    await connection.end()
  }
}

const phase = async (): Promise<string | undefined> => (await client.get<Cluster>(CnpgCluster, key)).status?.phase

test('a Cluster becomes a database with the Secret and status of CloudNativePG', async () => {
  await client.create(CnpgCluster, {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: key,
    spec: {
      instances: 3,
      bootstrap: { initdb: { database: 'mail', owner: 'stalwart' } },
      postgresql: { parameters: { work_mem: '5MB' } },
    },
  })
  await cnpg.reconcile(key)
  assert.deepEqual(await ask('select current_user as who, current_database() as what'), [
    { who: 'stalwart', what: 'mail' },
  ])
  assert.deepEqual(await ask('show work_mem'), [{ work_mem: '5MB' }])
  await ask('create table kept as select 42 as n')
  const { data } = await client.get(Secret, { ...key, name: 'mail-db-app' })
  for (const name of [
    'username',
    'user',
    'password',
    'dbname',
    'host',
    'port',
    'pgpass',
    'uri',
    'jdbc-uri',
    'fqdn-uri',
  ]) {
    assert.ok(data?.[name], name)
  }
  const { status } = await client.get<Cluster>(CnpgCluster, key)
  assert.equal(status?.phase, 'Cluster in healthy state')
  assert.equal(status?.readyInstances, 3)
  assert.equal(status?.currentPrimary, status?.targetPrimary)
})

test('a reconcile of a settled Cluster writes nothing', async () => {
  const version = async (): Promise<unknown[]> => [
    (await client.get(CnpgCluster, key)).metadata.resourceVersion,
    (await client.get(Secret, { ...key, name: 'mail-db-app' })).metadata.resourceVersion,
  ]
  const before = await version()
  await cnpg.reconcile(key)
  assert.deepEqual(await version(), before)
})

test('another password in the Secret is given to the role, and told in the status', async () => {
  const version = async () =>
    (await client.get<Cluster>(CnpgCluster, key)).status?.secretsResourceVersion?.applicationSecretVersion
  const before = await version()
  const data = { password: Buffer.from('changed').toString('base64') }
  await client.mergePatch(Secret, { ...key, name: 'mail-db-app' }, { data })
  await cnpg.reconcile(key)
  assert.deepEqual(await ask('select 1 as one'), [{ one: 1 }])
  assert.match(await secretText('uri'), /:changed@/)
  assert.notEqual(await version(), before)
  assert.equal(await version(), (await client.get(Secret, { ...key, name: 'mail-db-app' })).metadata.resourceVersion)
})

test('a server that dies is started again, with the same data at the same address', async () => {
  const uri = await secretText('uri')
  const pidFile = await readFile(join(dir, 'default-mail-db', 'data', 'postmaster.pid'), 'utf8')
  const pid = Number(pidFile.split('\n')[0])
  assert.ok(pid > 1)
  process.kill(pid, 'SIGKILL')
  while (again.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(again, ['mail-db'])
  while ((await cnpg.reconcile(key)) !== undefined) await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(await secretText('uri'), uri)
  assert.deepEqual(await ask('select n from kept'), [{ n: 42 }])
})

test('settings that Postgres refuses are told in the phase', async () => {
  await cnpg.stop()
  cnpg = create()
  await client.mergePatch(CnpgCluster, key, { spec: { postgresql: { parameters: { work_mem: 'plenty' } } } })
  assert.ok(await cnpg.reconcile(key), 'it is looked at again')
  const said = await phase()
  assert.match(said ?? '', /Not running: .*work_mem/)
  await cnpg.reconcile(key)
  assert.equal(await phase(), said, 'another try that ends alike is no news, which would bring the next at once')
})

test('with the Cluster goes the data', async () => {
  await client.delete(CnpgCluster, key)
  await cnpg.reconcile(key)
  await assert.rejects(ask('select 1'))
})

test('what should be recovered from backups is made empty, and that is told', async () => {
  await client.create(CnpgCluster, {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: key,
    spec: { bootstrap: { recovery: { source: 'elsewhere', database: 'app', owner: 'app' } } },
  })
  await cnpg.reconcile(key)
  assert.deepEqual(await ask('select current_user as who, current_database() as what'), [{ who: 'app', what: 'app' }])
  assert.match(told.at(-1) ?? '', /made EMPTY: there are no backups/)
})
