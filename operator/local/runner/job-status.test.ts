import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureAction } from './job-failure.ts'
import { planJob } from './job-status.ts'
import { type Job, type JobSpec, type JobStatus, kubeTime, type Pod } from './objects.ts'

const NOW = new Date('2026-01-01T00:10:00Z')
const ago = (seconds: number): string => kubeTime(new Date(NOW.getTime() - seconds * 1000))

const job = (spec: Partial<JobSpec>, status: JobStatus = {}): Job => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'j', namespace: 'mail' },
  // The API's defaults.
  spec: {
    template: { spec: { containers: [] } },
    completions: 1,
    parallelism: 1,
    backoffLimit: 6,
    podReplacementPolicy: 'TerminatingOrFailed',
    ...spec,
  },
  status,
})
const pod = (status: Pod['status'], metadata: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'j-1', namespace: 'mail', ...metadata },
  spec: { containers: [] },
  ...(status && { status }),
})
const active = pod({ phase: 'Running' })
const leaving = pod({ phase: 'Running' }, { deletionTimestamp: ago(1) })
const failed = (exitCode: number, finishedSecondsAgo = 60): Pod => {
  const at = { startedAt: ago(finishedSecondsAgo), finishedAt: ago(finishedSecondsAgo) }
  const state = { terminated: { exitCode, reason: 'Error', ...at } }
  return pod({ phase: 'Failed', containerStatuses: [{ name: 'c', ready: false, restartCount: 0, state }] })
}
const rules = (
  action: 'FailJob' | 'Ignore' | 'Count',
  operator: 'In' | 'NotIn',
  values: number[],
): Partial<JobSpec> => ({
  podFailurePolicy: { rules: [{ action, onExitCodes: { operator, values } }] },
})

for (const [given, spec, before, pods, want] of [
  ['a new Job begins with one Pod', {}, {}, [], { create: 1, active: 1, failed: 0 }],
  ['one that runs is enough', {}, {}, [active], { create: 0, active: 1, failed: 0 }],
  ['after a failure comes another', {}, {}, [failed(1)], { create: 1, active: 1, failed: 1 }],
  ['but not at once', {}, {}, [failed(1, 0)], { create: 0, active: 0, failed: 1, againMs: 1000 }],
  [
    'later after more failures',
    {},
    {},
    [failed(1), failed(1), failed(1, 1)],
    { create: 0, active: 0, failed: 3, againMs: 3000 },
  ],
  ['a Pod that leaves counts as a failure', {}, {}, [leaving], { create: 1, active: 1, failed: 1, terminating: 1 }],
  [
    'unless only failed ones are replaced',
    { podReplacementPolicy: 'Failed' },
    {},
    [leaving],
    { create: 0, active: 0, failed: 0, terminating: 1 },
  ],
  [
    'an ignored failure does not count',
    rules('Ignore', 'In', [1]),
    {},
    [failed(1)],
    { create: 1, active: 1, failed: 0 },
  ],
  ['a failed Pod that somebody removed still counts', {}, { failed: 2 }, [], { create: 1, active: 1, failed: 2 }],
  [
    'the deadline is looked at when it comes',
    { activeDeadlineSeconds: 90 },
    { startTime: ago(60) },
    [active],
    { create: 0, active: 1, failed: 0, againMs: 30_000 },
  ],
  [
    'past the deadline the Pod is removed, and Failed waits for its end',
    { activeDeadlineSeconds: 60 },
    { startTime: ago(60) },
    [active],
    { create: 0, active: 0, failed: 1, terminating: 1, remove: 1, conditions: ['FailureTarget DeadlineExceeded'] },
  ],
  [
    'the limit is how many failures may be',
    { backoffLimit: 0 },
    {},
    [failed(1)],
    {
      create: 0,
      active: 0,
      failed: 1,
      conditions: ['FailureTarget BackoffLimitExceeded', 'Failed BackoffLimitExceeded'],
    },
  ],
  [
    'the failure policy comes before the limit',
    { backoffLimit: 0, ...rules('FailJob', 'NotIn', [75]) },
    {},
    [failed(64)],
    { create: 0, active: 0, failed: 1, conditions: ['FailureTarget PodFailurePolicy', 'Failed PodFailurePolicy'] },
  ],
] as const) {
  test(`job: ${given}`, () => {
    const { status, create, remove, againMs } = planJob(job(spec as Partial<JobSpec>, before), pods, NOW)
    const conditions = status.conditions?.map(({ type, reason }) => `${type} ${reason}`)
    assert.deepEqual(
      {
        create,
        active: status.active,
        failed: status.failed,
        ...(status.terminating && { terminating: status.terminating }),
        ...(remove.length > 0 && { remove: remove.length }),
        ...(againMs !== undefined && { againMs }),
        ...(conditions && { conditions }),
      },
      want,
    )
  })
}

test('job: a reason once told stays when the last Pod has ended', () => {
  const first = planJob(job({ activeDeadlineSeconds: 60 }, { startTime: ago(60) }), [active], NOW)
  const { status } = planJob(job({ backoffLimit: 0 }, first.status), [], NOW)
  assert.deepEqual(
    status.conditions?.map(({ type, reason }) => [type, reason]),
    [
      ['FailureTarget', 'DeadlineExceeded'],
      ['Failed', 'DeadlineExceeded'],
    ],
  )
})

for (const [given, spec, want] of [
  ['In', rules('FailJob', 'In', [64, 65]), 'FailJob'],
  ['In, of other codes', rules('FailJob', 'In', [65]), undefined],
  ['NotIn', rules('Count', 'NotIn', [75]), 'Count'],
  ['NotIn, of this code', rules('Count', 'NotIn', [64]), undefined],
] as const) {
  test(`pod failure policy: ${given}`, () => assert.equal(failureAction(job(spec), failed(64))?.action, want))
}
