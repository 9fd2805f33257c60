import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { deployment } from './deployment.ts'
import { selectorLabels } from './names.ts'
import { preflightJob } from './preflight.ts'

interface PodTemplate {
  metadata: { labels: Record<string, string> }
  spec: { restartPolicy?: string; volumes: unknown; securityContext: unknown; containers: Record<string, unknown>[] }
}
const templateOf = (object: { spec?: unknown }) => (object.spec as { template: PodTemplate }).template
const nameOf = (...given: Parameters<typeof contextOf>) => preflightJob(contextOf(...given), undefined).metadata.name

test('it sees what the engines see, and runs once', () => {
  const context = contextOf(EVERYTHING)
  const checked = templateOf(preflightJob(context, undefined))
  const engine = templateOf(deployment(context) ?? assert.fail('no Deployment'))
  assert.equal(checked.spec.restartPolicy, 'Never')
  assert.deepEqual(checked.spec.volumes, engine.spec.volumes)
  assert.deepEqual(checked.spec.securityContext, engine.spec.securityContext)
  const [container] = checked.spec.containers
  const [engines] = engine.spec.containers
  for (const field of ['image', 'env', 'volumeMounts', 'securityContext', 'resources']) {
    assert.deepEqual(container?.[field], engines?.[field], field)
  }
  assert.deepEqual(container?.command, ['node', 'server/preflight.ts'])
  assert.deepEqual(
    [container?.readinessProbe, container?.ports, container?.lifecycle],
    [undefined, undefined, undefined],
  )
})

test('no Service and no budget takes its Pod for an engine', () => {
  const { labels } = templateOf(preflightJob(contextOf(EVERYTHING), undefined)).metadata
  const selector = Object.entries(selectorLabels('stalwart'))
  assert.equal(
    selector.every(([name, value]) => labels[name] === value),
    false,
  )
})

test('another image, configuration or wish is another Job; replicas are not asked about', () => {
  const name = nameOf()
  assert.match(name, /^stalwart-preflight-[0-9a-f]{8}$/)
  assert.equal(nameOf({ replicas: 5 }), name)
  assert.notEqual(nameOf({}, { image: 'registry.example/mail:1.2.4' }), name)
  assert.notEqual(nameOf({ limits: { messageBytes: 100_000 } }), name)
  assert.notEqual(preflightJob(contextOf(), 'now').metadata.name, name)
})

test('the longest name of a MailServer still makes a label for the Pods', () => {
  const context = contextOf()
  const long = { ...context, server: { ...context.server, name: 'm'.repeat(50) } }
  assert.ok(preflightJob(long, undefined).metadata.name.length <= 63)
})
