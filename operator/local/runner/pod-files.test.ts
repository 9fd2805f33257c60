import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { KubeObject } from '../../kube/types.ts'
import type { Container, Pod, Volume } from './objects.ts'
import { NotYet, type ObjectLookup, writeVolumes } from './pod-files.ts'

const secrets: Record<string, Record<string, string>> = {}
const lookup: ObjectLookup = {
  secret: (name) => object('Secret', name, secrets[name], (text) => Buffer.from(text).toString('base64')),
  configMap: (name) =>
    object('ConfigMap', name, name === 'config' ? { 'config.json': '{}' } : undefined, (text) => text),
}

function object(
  kind: string,
  name: string,
  data: Record<string, string> | undefined,
  encode: (text: string) => string,
) {
  if (!data) return undefined
  const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, encode(text)]))
  return { apiVersion: 'v1', kind, metadata: { name }, data: encoded } satisfies KubeObject
}

async function setUp(t: TestContext, volume: Omit<Volume, 'name'>) {
  const root = await mkdtemp(join(tmpdir(), 'pod-files-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const container: Container = { name: 'c', volumeMounts: [{ name: 'v', mountPath: '/etc/mail/v' }] }
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [container], volumes: [{ name: 'v', ...volume }] },
  }
  const directory = join(root, 'etc/mail/v')
  return {
    directory,
    write: () => writeVolumes(pod, container, root, lookup),
    visible: async () => (await readdir(directory)).filter((name) => !name.startsWith('..')).sort(),
  }
}

test('a changed Secret is switched as a whole, and nothing old is left', async (t) => {
  secrets.tls = { 'tls.crt': 'old', 'tls.key': 'old', 'ca.crt': 'old' }
  const { directory, write, visible } = await setUp(t, { secret: { secretName: 'tls' } })
  await write()
  assert.deepEqual(await visible(), ['ca.crt', 'tls.crt', 'tls.key'])
  const before = await realpath(join(directory, '..data'))
  await write()
  assert.equal(await realpath(join(directory, '..data')), before, 'nothing is touched when nothing has changed')
  secrets.tls = { 'tls.crt': 'new', 'tls.key': 'new' }
  await write()
  assert.deepEqual(await visible(), ['tls.crt', 'tls.key'])
  assert.equal(await readFile(join(directory, 'tls.key'), 'utf8'), 'new')
  assert.equal((await readdir(directory)).length, 4) // the two, ..data and one version
})

test('projected: several Secrets with chosen names in one directory', async (t) => {
  secrets.one = { 'private.pem': '1', 'public.txt': 'x' }
  secrets.two = { 'private.pem': '2' }
  const { directory, write, visible } = await setUp(t, {
    projected: {
      sources: [
        { secret: { name: 'one', items: [{ key: 'private.pem', path: 'a/1.pem' }] } },
        { secret: { name: 'two', items: [{ key: 'private.pem', path: '2.pem' }] } },
        { configMap: { name: 'config' } },
      ],
    },
  })
  await write()
  assert.deepEqual(await visible(), ['2.pem', 'a', 'config.json'])
  assert.equal(await readFile(join(directory, 'a/1.pem'), 'utf8'), '1')
})

for (const [given, volume, message] of [
  ['a missing Secret', { secret: { secretName: 'absent' } }, 'secret "absent" not found'],
  [
    'a missing key',
    { secret: { secretName: 'k', items: [{ key: 'b', path: 'b' }] } },
    'references non-existent secret key: b',
  ],
  [
    'a way out of the volume',
    { secret: { secretName: 'k', items: [{ key: 'a', path: '../../x' }] } },
    'path "../../x" is not allowed in a volume',
  ],
  [
    'another kind of volume',
    { persistentVolumeClaim: {} },
    'volume "v": only Secrets, ConfigMaps and emptyDir exist here',
  ],
] as const) {
  test(`${given} is told in words`, async (t) => {
    secrets.k = { a: '1' }
    const { write } = await setUp(t, volume as unknown as Omit<Volume, 'name'>)
    await assert.rejects(write(), (error) => error instanceof NotYet && error.message === message)
  })
}

test('an optional Secret that is missing is an empty directory', async (t) => {
  const { write, visible } = await setUp(t, { secret: { secretName: 'absent', optional: true } })
  await write()
  assert.deepEqual(await visible(), [])
})
