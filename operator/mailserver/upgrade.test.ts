import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition, KubeObject } from '../kube/types.ts'
import { PREFLIGHT_RETRY_MS, type Upgrade, type UpgradeFacts, upgradeOf, wantedImage } from './upgrade.ts'

const FAILED_AT = '2026-11-29T12:00:00Z'
const job: KubeObject = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'mail-preflight-1' } }
const condition = (type: string, reason: string, message = ''): Condition => ({
  type,
  status: 'True',
  reason,
  message,
  lastTransitionTime: FAILED_AT,
})
const jobWith = (...conditions: Condition[]): KubeObject => ({ ...job, status: { conditions } })
const exited = (code: number) =>
  jobWith(
    condition(
      'Failed',
      'PodFailurePolicy',
      `Container engine for pod n/p failed with exit code ${code} matching FailJob rule at index 0`,
    ),
  )

/** From engine:1 to engine:2, in turn, with a preflight in some state. */
function upgrade(facts: Partial<UpgradeFacts> & { live?: KubeObject } = {}): Upgrade {
  const { live, ...given } = facts
  return upgradeOf({
    wanted: 'engine:2',
    rendered: 'engine:1',
    running: 'engine:1',
    skipPreflight: undefined,
    takeTurn: () => ({ taken: true }),
    preflight: () => ({ desired: job, live }),
    previous: undefined,
    now: new Date(FAILED_AT),
    ...given,
  })
}

for (const [what, facts, image] of [
  ['the first engines', { rendered: undefined, running: undefined }, 'engine:2'],
  ['an image that already runs', { running: 'engine:2' }, 'engine:2'],
  ['an image that somebody put into the Deployment', { wanted: 'engine:1', running: 'engine:9' }, 'engine:1'],
] as const) {
  test(`${what} need neither turn nor preflight`, () => {
    const takeTurn = () => assert.fail('a turn was taken')
    assert.deepEqual(upgrade({ ...facts, takeTurn }), { image, job: undefined, turnOver: true })
  })
}

test('out of turn nothing is checked yet, and who is in the way is said', () => {
  const { image, job: desired, progress } = upgrade({ takeTurn: () => ({ taken: false, busy: 'a/b' }) })
  assert.deepEqual([image, desired], ['engine:1', undefined])
  assert.match(progress ?? '', /engine:2 waits until MailServer a\/b is upgraded/)
})

test('in its turn the new image is checked before the Pods get it', () => {
  const running = upgrade({ live: job })
  assert.deepEqual([running.image, running.job, running.turnOver], ['engine:1', job, false])
  const passed = upgrade({ live: jobWith(condition('SuccessCriteriaMet', ''), condition('Complete', '')) })
  assert.deepEqual([passed.image, passed.job, passed.turnOver], ['engine:2', job, false])
})

for (const [code, reason] of [
  [64, 'DowngradeRefused'],
  [65, 'ConfigNotUnderstood'],
] as const) {
  test(`exit code ${code} is ${reason}: the old image stays, others may go on`, () => {
    const refused = upgrade({ live: exited(code) })
    assert.deepEqual([refused.image, refused.turnOver, refused.trouble?.reason], ['engine:1', true, reason])
    assert.match(refused.trouble?.message ?? '', /engine:2 is refused.*go on with engine:1.*mail-preflight-1/)
    assert.equal(refused.job, job)
  })
}

test('a refusal stands while another one has the turn, and asks for none', () => {
  const takeTurn = () => assert.fail('a turn was taken')
  assert.deepEqual(upgrade({ live: exited(64), takeTurn }), upgrade({ live: exited(64) }))
})

test('a preflight without an answer is made again later, and until then says the same', () => {
  const failed = jobWith(condition('Failed', 'DeadlineExceeded', 'Job was active longer than specified deadline'))
  const told = upgrade({ live: failed })
  assert.deepEqual([told.image, told.trouble?.reason, told.turnOver], ['engine:1', 'PreflightFailed', true])
  assert.equal(told.job, job)
  assert.equal(told.pollMs, PREFLIGHT_RETRY_MS)

  const later = upgrade({ live: failed, now: new Date(Date.parse(FAILED_AT) + PREFLIGHT_RETRY_MS) })
  assert.equal(later.job, undefined, 'the failed Job is pruned')
  assert.deepEqual(later.trouble, told.trouble)

  const previous = [{ ...condition('Stalled', 'PreflightFailed', told.trouble?.message) }]
  const again = upgrade({ live: undefined, previous })
  assert.equal(again.job, job)
  assert.deepEqual(again.trouble, told.trouble)
})

test('a person may let an image through', () => {
  const preflight = () => assert.fail('a preflight was looked at')
  assert.equal(upgrade({ skipPreflight: 'engine:2', preflight }).image, 'engine:2')
  assert.equal(upgrade({ skipPreflight: 'engine:3', live: job }).image, 'engine:1')
})

test('without spec.image the image is pinned: a new operator changes nothing', () => {
  assert.equal(wantedImage(undefined, { rendered: 'engine:1', running: 'engine:1' }, 'engine:2'), 'engine:1')
  assert.equal(wantedImage(undefined, { rendered: undefined, running: 'engine:1' }, 'engine:2'), 'engine:1')
  assert.equal(wantedImage(undefined, { rendered: undefined, running: undefined }, 'engine:2'), 'engine:2')
  assert.equal(wantedImage('engine:3', { rendered: 'engine:1', running: 'engine:1' }, 'engine:2'), 'engine:3')
})
