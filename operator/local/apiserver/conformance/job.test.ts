/** Jobs: what the server fills in, what it refuses, and what becomes of what they own. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject, KubeObject } from '../json.ts'
import { connect, eventually, objectOf } from './client.ts'

const { api, namespace } = await connect()
const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`

/** managedBy keeps the job controller of a real cluster away. */
const job = (name: string, spec: JsonObject = {}, podSpec: JsonObject = {}) => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, labels: { app: 'job' } },
  spec: {
    managedBy: 'example.org/nobody',
    template: {
      metadata: { labels: { app: 'pod' } },
      spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.org/main:1' }], ...podSpec },
    },
    ...spec,
  },
})
const exitCodes = (onExitCodes: JsonObject): JsonObject => ({
  podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes }] },
})
const create = async (name: string, spec: JsonObject = {}): Promise<KubeObject> =>
  objectOf(await api.request('POST', jobs, { body: job(name, spec) }))

test('a Job gets its defaults, and a selector of its uid', async () => {
  const { metadata, spec } = await create('defaults')
  const { template, ...rest } = spec as { template: { metadata: JsonObject } } & JsonObject
  const { uid } = metadata
  assert.deepEqual(rest, {
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    completions: 1,
    managedBy: 'example.org/nobody',
    manualSelector: false,
    parallelism: 1,
    podReplacementPolicy: 'TerminatingOrFailed',
    selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
    suspend: false,
  })
  assert.deepEqual(template.metadata.labels, {
    app: 'pod',
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': 'defaults',
    'controller-uid': uid,
    'job-name': 'defaults',
  })
  assert.deepEqual([metadata.generation, metadata.labels], [1, { app: 'job' }])
})

test('a Job without labels takes those of its template', async () => {
  const { metadata, ...rest } = job('labels')
  const created = objectOf(await api.request('POST', jobs, { body: { ...rest, metadata: { name: metadata.name } } }))
  const { template } = created.spec as { template: { metadata: { labels: JsonObject } } }
  assert.deepEqual(created.metadata.labels, template.metadata.labels)
})

test('a pod failure policy means that only failed Pods are replaced', async () => {
  const { spec } = await create('policy', exitCodes({ operator: 'In', values: [64, 65] }))
  assert.equal((spec as JsonObject).podReplacementPolicy, 'Failed')
})

describe('refused is', () => {
  const policy = exitCodes({ operator: 'In', values: [64] })
  for (const [what, spec, podSpec, message] of [
    [
      'a Pod that is always started again',
      {},
      { restartPolicy: 'Always' },
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ],
    [
      'a failure policy for containers that start again',
      policy,
      { restartPolicy: 'OnFailure' },
      'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
    ],
    [
      'a failure policy that replaces Pods early',
      { ...policy, podReplacementPolicy: 'TerminatingOrFailed' },
      {},
      'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    ],
    [
      'exit codes of a container that is not there',
      exitCodes({ containerName: 'other', operator: 'In', values: [64] }),
      {},
      'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "other": must be one of the container or initContainer names in the pod template',
    ],
    [
      'success among the exit codes of failure',
      exitCodes({ operator: 'In', values: [0, 64] }),
      {},
      'spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator',
    ],
    [
      'exit codes out of order',
      exitCodes({ operator: 'In', values: [65, 64] }),
      {},
      'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [65,64]: must be ordered',
    ],
  ] as [string, JsonObject, JsonObject, string][]) {
    test(what, async () => {
      const { status, body } = await api.request('POST', jobs, { body: job('refused', spec, podSpec) })
      assert.deepEqual([status, body.message], [422, `Job.batch "refused" is invalid: ${message}`])
    })
  }
})

test('a name that is too long for a label of the Pods is refused', async () => {
  const name = `${'a'.repeat(63)}b`
  const { status, body } = await api.request('POST', jobs, { body: job(name) })
  const message = `Job.batch "${name}" is invalid: spec.template.labels: Invalid value: "${name}": must be no more than 63 bytes`
  assert.deepEqual([status, body.message], [422, message])
})

test('the template stays as it was made, the deadline may change', async () => {
  await create('fixed')
  const type = 'application/strategic-merge-patch+json'
  const containers = [{ name: 'main', image: 'example.org/main:2' }]
  const body = { spec: { template: { spec: { containers } } } }
  const refused = await api.request('PATCH', `${jobs}/fixed`, { body, type })
  assert.equal(refused.status, 422)
  assert.match(String(refused.body.message), /^Job\.batch "fixed" is invalid: spec\.template: .*field is immutable$/)
  const changed = await api.request('PATCH', `${jobs}/fixed`, { body: { spec: { activeDeadlineSeconds: 9 } }, type })
  assert.deepEqual([changed.status, objectOf(changed).metadata.generation], [200, 2])
})

test('an equal apply writes nothing', async () => {
  const apply = async () =>
    objectOf(
      await api.request('PATCH', `${jobs}/applied?fieldManager=conformance`, {
        body: job('applied', exitCodes({ containerName: 'main', operator: 'In', values: [64, 65] })),
        type: 'application/apply-patch+yaml',
      }),
    )
  assert.equal((await apply()).metadata.resourceVersion, (await apply()).metadata.resourceVersion)
})

test('a table tells status, completions and duration', async () => {
  await create('shown')
  const row = async () => {
    const { body } = await api.request('GET', `${jobs}/shown`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })
    const { columnDefinitions, rows } = body as { columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] }
    return columnDefinitions.map(({ name }, index) => [name, rows[0]?.cells[index]])
  }
  const cells = await row()
  assert.deepEqual(cells.slice(0, 4), [
    ['Name', 'shown'],
    ['Status', 'Running'],
    ['Completions', '0/1'],
    ['Duration', ''],
  ])
  assert.equal(cells[4]?.[0], 'Age')
  const times = { lastProbeTime: '2026-01-01T00:01:05Z', lastTransitionTime: '2026-01-01T00:01:05Z' }
  const status = {
    startTime: '2026-01-01T00:00:00Z',
    completionTime: '2026-01-01T00:01:05Z',
    succeeded: 1,
    conditions: ['SuccessCriteriaMet', 'Complete'].map((type) => ({ type, status: 'True', ...times })),
  }
  const type = 'application/merge-patch+json'
  assert.equal((await api.request('PATCH', `${jobs}/shown/status`, { body: { status }, type })).status, 200)
  assert.deepEqual((await row()).slice(1, 4), [
    ['Status', 'Complete'],
    ['Completions', '1/1'],
    ['Duration', '65s'],
  ])
})

test('a table tells how a Pod has ended', async () => {
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const spec = { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.org/main:1' }] }
  // On a cluster, the namespace's ServiceAccount may still be on its way.
  await eventually(async () => {
    const { status } = await api.request('POST', pods, { body: { metadata: { name: 'over' }, spec } })
    return status === 201 || undefined
  }, 'the Pod')
  const state = { terminated: { exitCode: 64, reason: 'Error' } }
  const over = { name: 'main', image: 'example.org/main:1', imageID: '', ready: false, restartCount: 0, state }
  const body = { status: { phase: 'Failed', containerStatuses: [over] } }
  const type = 'application/merge-patch+json'
  assert.equal((await api.request('PATCH', `${pods}/over/status`, { body, type })).status, 200)
  const answer = await api.request('GET', `${pods}/over`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
  const { rows } = answer.body as { rows: { cells: unknown[] }[] }
  assert.deepEqual(rows[0]?.cells.slice(0, 4), ['over', '0/1', 'Error', '0'])
})

describe('delete', () => {
  const withChild = async (name: string): Promise<void> => {
    const { metadata } = await create(name)
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid: metadata.uid ?? '' }
    await api.request('POST', configMaps, { body: { metadata: { name: `${name}-child`, ownerReferences: [owner] } } })
  }
  const child = (name: string) => api.request('GET', `${configMaps}/${name}-child`)
  const gone = (name: string) =>
    eventually(async () => ((await api.request('GET', `${jobs}/${name}`)).status === 404 ? true : undefined), name)

  test('leaves what the Job owns alone, and warns of it', async () => {
    await withChild('orphaning')
    const answer = await api.request('DELETE', `${jobs}/orphaning`)
    assert.match(String(answer.headers.warning), /^299 - "child pods are preserved by default when jobs are deleted; /)
    assert.deepEqual(objectOf(answer).metadata.finalizers, ['orphan'])
    await gone('orphaning')
    const left = objectOf(await child('orphaning'))
    assert.deepEqual([left.metadata.ownerReferences, left.metadata.deletionTimestamp], [undefined, undefined])
  })

  for (const [what, body] of [
    ['propagationPolicy Background', { propagationPolicy: 'Background' }],
    ['orphanDependents false', { orphanDependents: false }],
  ] as const) {
    test(`with ${what} takes it along`, async () => {
      const name = what.toLowerCase().replaceAll(' ', '-')
      await withChild(name)
      const answer = await api.request('DELETE', `${jobs}/${name}`, { body })
      assert.equal(answer.headers.warning, undefined)
      await gone(name)
      await eventually(async () => ((await child(name)).status === 404 ? true : undefined), 'its child goes')
    })
  }
})
