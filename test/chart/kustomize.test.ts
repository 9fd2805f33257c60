/** deploy/kustomize/ is what the chart renders by default, and its generated part is in step with the code. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import type { KubeObject } from '../../operator/kube/types.ts'
import { generatedManifests } from '../../scripts/kustomize.ts'
import { isBuilt, tool } from '../cluster-tool.ts'

const repository = join(import.meta.dirname, '../..')
const folder = join(repository, 'deploy/kustomize')
const read = (path: string) => readFileSync(join(folder, path), 'utf8')

test('what is made from the code is in step with it (else: node scripts/kustomize.ts)', () => {
  for (const [path, content] of generatedManifests()) assert.ok(read(path) === content, `${path} is old`)
})

test('every file is in its kustomization', () => {
  for (const part of ['.', 'crds']) {
    const { resources } = parse(read(join(part, 'kustomization.yaml')))
    const entries = readdirSync(join(folder, part)).filter((name) => name !== 'kustomization.yaml')
    assert.deepEqual([...resources].sort(), entries.sort())
  }
})

test('the image carries the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
  const images = read('deployment.yaml').match(/ghcr\.io\S+/g)
  assert.deepEqual(
    images,
    [1, 2].map(() => `ghcr.io/openova-io/mail-operator:${version}`),
  )
})

const missing = (['helm', 'kubectl'] as const).find((name) => !isBuilt(name))
const both = { skip: missing ? `${missing} is not built here` : false }

const objectsOf = (text: string): KubeObject[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null)

const run = (name: 'helm' | 'kubectl', ...args: string[]) =>
  objectsOf(execFileSync(tool(name), args, { encoding: 'utf8', stdio: 'pipe', maxBuffer: 32 * 1024 * 1024 }))

/** Without the labels that say who installed it and which version: those are Helm's. */
function comparable(objects: KubeObject[]): Map<string, unknown> {
  const own = (text: string) => JSON.parse(text, (key, value) => (INSTALLER.has(key) ? undefined : value))
  return new Map(
    objects
      .map((object) => [`${object.kind}/${object.metadata.name}`, own(JSON.stringify(object))] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
const INSTALLER = new Set(['helm.sh/chart', 'app.kubernetes.io/managed-by', 'app.kubernetes.io/version'])

test('kubectl kustomize and helm template make the same objects', both, () => {
  const chart = ['charts/mail-operator', '--namespace', 'mail-operator', '--set', 'crds.keep=false']
  const helm = comparable(run('helm', 'template', 'mail-operator', join(repository, chart[0] ?? ''), ...chart.slice(1)))
  const kustomize = comparable(run('kubectl', 'kustomize', folder))
  assert.ok(kustomize.delete('Namespace/mail-operator'))
  assert.deepEqual([...kustomize.keys()], [...helm.keys()])
  for (const [name, object] of kustomize) assert.deepEqual(object, helm.get(name), name)
})

test('the overlay of install.md sets the image of operator and engines, and another namespace', both, () => {
  const page = readFileSync(join(repository, 'docs/install.md'), 'utf8')
  const [, overlay = ''] = /```yaml\n# kustomization\.yaml\n([\s\S]*?)```/.exec(page) ?? []
  const directory = mkdtempSync(join(tmpdir(), 'overlay-'))
  try {
    cpSync(folder, join(directory, 'base'), { recursive: true })
    mkdirSync(join(directory, 'overlay'))
    const local = overlay.replace(/https:\/\/github\.com\S+\/deploy\/kustomize\?ref=\S+/, '../base')
    assert.notEqual(local, overlay)
    writeFileSync(join(directory, 'overlay/kustomization.yaml'), local)
    const objects = run('kubectl', 'kustomize', join(directory, 'overlay'))
    const deployment = objects.find(({ kind }) => kind === 'Deployment') ?? assert.fail()
    const { template } = deployment.spec as {
      template: { spec: { containers: { image: string; env: { name: string; value?: string }[] }[] } }
    }
    const [container] = template.spec.containers
    const env = new Map(container?.env.map(({ name, value }) => [name, value]))
    assert.equal(container?.image, 'REGISTRY/mail-operator:TAG')
    assert.equal(env.get('ENGINE_IMAGE'), 'REGISTRY/mail-operator:TAG')
    const namespaces = objects.flatMap(({ metadata, subjects }) => [
      ...(metadata.namespace ? [metadata.namespace] : []),
      ...((subjects as { namespace: string }[] | undefined) ?? []).map(({ namespace }) => namespace),
    ])
    assert.deepEqual([...new Set(namespaces)], ['mail-system'])
  } finally {
    rmSync(directory, { recursive: true })
  }
})
