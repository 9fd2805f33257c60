import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { KubeObject } from '../../kube/types.ts'
import { processBegan } from '../runner/process-table.ts'
import { AlreadyRunning, takeLock } from './lock.ts'
import { BadManifest, fitToThisMachine, readManifests } from './manifests.ts'
import { HELP, readOptions, UsageError } from './options.ts'

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'start-test-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('options: files are relative to where the user typed', () => {
  const options = readOptions(['-f', 'a.yaml', '-f', '/b.yaml', '--replicas', '3'], { INIT_CWD: '/home/me' }, '/clone')
  assert.deepEqual(options?.files, ['/home/me/a.yaml', '/b.yaml'])
  assert.equal(options?.replicas, 3)
  assert.equal(options?.dir, join('/clone', '.local'))
  assert.equal(readOptions(['--dir', 'x'], { INIT_CWD: '/home/me' }, '/clone')?.dir, '/home/me/x')
})

test('options: a flag wins over the variable', () => {
  const env = { LOCAL_SMTP_PORT: '1', LOCAL_HTTP_PORT: '2' }
  assert.deepEqual(readOptions(['--smtp-port', '3'], env, '/')?.ports, { smtp: 3, http: 2 })
})

for (const [args, words] of [
  [['--smtp-port', 'many'], /--smtp-port: "many" is not a whole number from 0 to 65535/],
  [['--replicas', '-1'], /replicas/],
  [['--unknown'], /unknown/],
  [['stray'], /stray/],
] as const) {
  test(`options: ${args.join(' ')} is refused in words`, () => {
    assert.throws(
      () => readOptions(args, {}, '/'),
      (error) => error instanceof UsageError && words.test(error.message),
    )
  })
}

test('options: --help names every port', () => {
  assert.equal(readOptions(['--help'], {}, '/'), undefined)
  for (const name of ['smtp', 'submissions', 'submission', 'imaps', 'http', 'https', 'metrics', 'api']) {
    assert.match(HELP, new RegExp(`--${name}-port PORT {2}`))
  }
})

test('lock: one holder at a time; one that is gone is no holder', async (t) => {
  const path = join(await temporary(t), 'lock')
  const lock = takeLock(path, '/state', new Date())
  assert.throws(() => takeLock(path, '/state', new Date()), AlreadyRunning)
  lock[Symbol.dispose]()
  const other = spawn(process.execPath, ['-e', ''])
  const began = processBegan(other.pid ?? 0)
  await once(other, 'exit')
  await writeFile(path, JSON.stringify({ pid: other.pid, began, since: '' }))
  takeLock(path, '/state', new Date())[Symbol.dispose]()
  await writeFile(path, '{"pid":')
  takeLock(path, '/state', new Date())[Symbol.dispose]()
  assert.equal(existsSync(path), false)
})

test('manifests: documents, lists and directories, namespaces first', async (t) => {
  const dir = await temporary(t)
  await writeFile(
    join(dir, 'b.yaml'),
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n',
  )
  await writeFile(
    join(dir, 'a.yml'),
    'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n',
  )
  await writeFile(join(dir, 'notes.txt'), 'not: [yaml')
  const objects = await readManifests([dir])
  assert.deepEqual(
    objects.map(({ kind }) => kind),
    ['Namespace', 'Secret', 'ConfigMap'],
  )
})

for (const [text, words] of [
  ['a: [', /bad\.yaml: /],
  ['just text', /a document without apiVersion and kind/],
  ['apiVersion: v1\nkind: Secret\nmetadata: {}', /a Secret without metadata\.name/],
] as const) {
  test(`manifests: ${JSON.stringify(text)} is refused in words`, async (t) => {
    const file = join(await temporary(t), 'bad.yaml')
    await writeFile(file, text)
    await assert.rejects(readManifests([file]), (error) => error instanceof BadManifest && words.test(error.message))
  })
}

test('manifests: a file that does not exist is named', async () => {
  const path = resolve('no', 'such.yaml')
  await assert.rejects(readManifests([path]), new BadManifest(`${path}: there is no such file`))
})

test('manifests: an S3 endpoint in the cluster, and its credentials, become the local ones, and that is told', () => {
  const s3 = { endpoint: 'http://minio.storage.svc:9000', bucket: 'mail', credentialsSecretRef: { name: 'minio' } }
  const metadata = { name: 'stalwart', namespace: 'communication' }
  const server: KubeObject = {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    metadata,
    spec: { storage: { s3 } },
  }
  const secret: KubeObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...metadata, name: 'minio' },
    stringData: { accessKey: 'theirs' },
  }
  const foreign: KubeObject = { ...secret, metadata: { ...metadata, name: 'other' } }
  const told: string[] = []
  const store = { endpoint: 'http://127.0.0.1:9', credentials: { accessKey: 'ours', secretKey: 'secret' } }
  const objects = fitToThisMachine([server, secret, foreign], { store, progress: (text) => told.push(text) })
  assert.deepEqual(objects[0]?.spec, { storage: { s3: { ...s3, endpoint: store.endpoint } } })
  assert.deepEqual(objects[1]?.stringData, store.credentials)
  assert.equal(objects[2], foreign)
  assert.equal(told.length, 2)
  const outside = { ...server, spec: { storage: { s3: { ...s3, endpoint: 'https://s3.example.com' } } } }
  assert.deepEqual(fitToThisMachine([outside], { store, progress: assert.fail }), [outside])
})
