import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { KubeApi } from '../../kube/client.ts'
import { Job as JobResource, Pod as PodResource } from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type Job, type JobSpec, PID_ANNOTATION, type Pod } from './objects.ts'
import { startTestRunner, type TestRunner, until } from './testing/runner.ts'

/** Says a word in its log, leaves its last words, and ends as its argument says; with `stay` it does not end. */
const TOY = `
import { writeFileSync } from 'node:fs'
console.log('it was me')
const [how, words] = process.argv.slice(2)
if (words) writeFileSync(process.env.MAIL_TERMINATION_LOG, words)
if (how === 'stay') setInterval(() => {}, 1000)
else process.exitCode = Number(how)
`

const namespace = 'default'
let at: TestRunner
let client: KubeApi
before(async () => {
  at = await startTestRunner({ 'toy.mjs': TOY })
  client = at.client
})
after(() => at[Symbol.asyncDispose]())

const job = (name: string, args: string[], spec: Partial<JobSpec> = {}): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace },
  spec: {
    ...spec,
    template: {
      spec: { restartPolicy: 'Never', containers: [{ name: 'toy', command: ['node', 'toy.mjs', ...args] }] },
    },
  },
})
const podsOf = async (name: string): Promise<Pod[]> =>
  (await client.list<Pod>(PodResource, { namespace, labelSelector: `batch.kubernetes.io/job-name=${name}` })).items
const running = (name: string): Promise<Pod> =>
  until(async () => (await podsOf(name)).find(({ metadata }) => metadata.annotations?.[PID_ANNOTATION]))

/** The status once the Job has the condition. */
async function ended(name: string, type: 'Complete' | 'Failed') {
  const { status } = await until(async () => {
    const live = await client.get<Job>(JobResource, { namespace, name })
    return live.status?.conditions?.some((condition) => condition.type === type) && live
  })
  const conditions = status?.conditions?.map(({ type, status, reason, message }) => ({ type, status, reason, message }))
  return { ...status, conditions }
}
const both = (types: [string, string], reason: string, message: string) =>
  types.map((type) => ({ type, status: 'True', reason, message }))

test('a Job whose Pod succeeds is complete, and the Pod stays with its last words', async () => {
  await client.create(JobResource, job('good', ['0', 'all is well']))
  const { conditions, active, succeeded, failed, completionTime } = await ended('good', 'Complete')
  const message = 'Reached expected number of succeeded pods'
  assert.deepEqual(conditions, both(['SuccessCriteriaMet', 'Complete'], 'CompletionsReached', message))
  assert.deepEqual({ active, succeeded, failed }, { active: 0, succeeded: 1, failed: 0 })
  assert.ok(completionTime)
  const [pod] = await podsOf('good')
  const terminated = pod?.status?.containerStatuses?.[0]?.state?.terminated
  assert.equal(pod?.status?.phase, 'Succeeded')
  assert.deepEqual([terminated?.exitCode, terminated?.reason, terminated?.message], [0, 'Completed', 'all is well'])
  assert.equal(await readFile(join(at.directory, 'pods', pod?.metadata.name ?? '', 'toy.log'), 'utf8'), 'it was me\n')
})

test('an exit code of the failure policy fails the Job at the first Pod', async () => {
  const rules = [
    { action: 'Ignore' as const, onExitCodes: { operator: 'In' as const, values: [1] } },
    { action: 'FailJob' as const, onExitCodes: { containerName: 'toy', operator: 'In' as const, values: [64, 65] } },
  ]
  await client.create(JobResource, job('refused', ['64', 'no'], { podFailurePolicy: { rules } }))
  const { conditions, failed } = await ended('refused', 'Failed')
  const pods = await podsOf('refused')
  const message = `Container toy for pod default/${pods[0]?.metadata.name} failed with exit code 64 matching FailJob rule at index 1`
  assert.deepEqual(conditions, both(['FailureTarget', 'Failed'], 'PodFailurePolicy', message))
  assert.deepEqual([pods.length, failed], [1, 1])
  const terminated = pods[0]?.status?.containerStatuses?.[0]?.state?.terminated
  assert.equal(pods[0]?.status?.phase, 'Failed')
  assert.deepEqual([terminated?.exitCode, terminated?.reason, terminated?.message], [64, 'Error', 'no'])
})

test('other failures are tried again up to the backoff limit', async () => {
  await client.create(JobResource, job('unlucky', ['1'], { backoffLimit: 1 }))
  const { conditions, failed } = await ended('unlucky', 'Failed')
  const message = 'Job has reached the specified backoff limit'
  assert.deepEqual(conditions, both(['FailureTarget', 'Failed'], 'BackoffLimitExceeded', message))
  assert.equal(failed, 2)
  const pods = await podsOf('unlucky')
  assert.equal(pods.length, 2)
  // Without a termination log, the end of the log.
  assert.equal(pods[0]?.status?.containerStatuses?.[0]?.state?.terminated?.message, 'it was me')
})

test('a Job past its deadline has failed, and its Pod is gone', async () => {
  await client.create(JobResource, job('slow', ['stay']))
  const pid = Number((await running('slow')).metadata.annotations?.[PID_ANNOTATION])
  // Not before its process runs, which may take longer than any deadline worth waiting for.
  await client.mergePatch(JobResource, { namespace, name: 'slow' }, { spec: { activeDeadlineSeconds: 1 } })
  const { conditions, active, failed } = await ended('slow', 'Failed')
  const message = 'Job was active longer than specified deadline'
  assert.deepEqual(conditions, both(['FailureTarget', 'Failed'], 'DeadlineExceeded', message))
  assert.deepEqual({ active, failed }, { active: 0, failed: 1 })
  assert.deepEqual(await podsOf('slow'), [])
  assert.throws(() => process.kill(pid, 0))
})

test('a deleted Job takes its Pod and the process along', async () => {
  await client.create(JobResource, job('deleted', ['stay']))
  const pid = Number((await running('deleted')).metadata.annotations?.[PID_ANNOTATION])
  await client.delete(JobResource, { namespace, name: 'deleted' }, { propagationPolicy: 'Background' })
  await until(async () => (await podsOf('deleted')).length === 0)
  assert.throws(() => process.kill(pid, 0))
})

test('the next run begins nothing that has ended, and ended Pods go with their Job', async () => {
  const uids = async () => (await podsOf('good')).map(({ metadata }) => metadata.uid)
  const before = await uids()
  await at.restart()
  await client.create(JobResource, job('next', ['0']))
  await ended('next', 'Complete') // by now it would have begun
  assert.deepEqual(await uids(), before)
  const [pod] = await podsOf('good')
  assert.deepEqual([pod?.status?.phase, pod?.status?.containerStatuses?.[0]?.restartCount], ['Succeeded', 0])
  await client.delete(JobResource, { namespace, name: 'good' }, { propagationPolicy: 'Background' })
  await until(async () => (await podsOf('good')).length === 0)
})
