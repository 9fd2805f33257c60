import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition } from '../kube/types.ts'
import { accountConditions, accountEvent, type Finding, untilOverdue } from './conditions.ts'

const NOW = +new Date('2026-06-01T12:00:00Z')
const at = (seconds: number) => new Date(NOW + seconds * 1000)
const shown = (conditions: Condition[]) => conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`)
const ready: Finding = { kind: 'ready', reason: 'Applied', message: 'has it' }
const secret: Finding = { kind: 'waiting', reason: 'SecretMissing', message: 'no Secret', deadlineMs: 60_000 }
const engine: Finding = { kind: 'waiting', reason: 'ServerNotReady', message: 'no Pod', deadlineMs: 120_000 }
const failing = (message: string): Finding => ({ kind: 'failing', reason: 'ReconcileFailed', message })

/** What is said after each finding; times in seconds. */
function story(...findings: [seconds: number, finding: Finding, generation?: number][]): Condition[][] {
  let previous: Condition[] | undefined
  return findings.map(([seconds, finding, generation = 1]) => {
    previous = accountConditions(previous, finding, generation, at(seconds))
    return previous
  })
}

test('a wait past its deadline is Stalled, keeps saying what for, and is over when it is over', () => {
  const [first = [], overdue = [], later = [], healed = []] = story(
    [0, secret],
    [60, secret],
    [900, secret],
    [901, ready],
  )
  assert.deepEqual(shown(first), ['Ready=False SecretMissing', 'Reconciling=True SecretMissing'])
  assert.equal(untilOverdue(first, secret, at(20)), 40_000)
  assert.deepEqual(shown(overdue), ['Ready=False SecretMissing', 'Stalled=True DeadlineExceeded'])
  assert.equal(overdue[1]?.message, 'SecretMissing: no Secret')
  assert.deepEqual(later, overdue, 'said once')
  assert.equal(untilOverdue(later, secret, at(900)), undefined)
  assert.deepEqual(shown(healed), ['Ready=True Applied'])
})

test('a deadline counts from the first of several waits', () => {
  const [, second = [], third = []] = story([0, secret], [59, engine], [120, engine])
  assert.deepEqual(shown(second), ['Ready=False ServerNotReady', 'Reconciling=True ServerNotReady'])
  assert.equal(untilOverdue(second, engine, at(59)), 61_000)
  assert.deepEqual(shown(third), ['Ready=False ServerNotReady', 'Stalled=True DeadlineExceeded'])
})

test('what is waited for next begins anew after a deadline; so does a changed spec, and what was Ready', () => {
  const anew = ['Ready=False ServerNotReady', 'Reconciling=True ServerNotReady']
  assert.deepEqual(shown(story([0, secret], [60, secret], [61, engine]).at(-1) ?? []), anew)
  assert.deepEqual(shown(story([0, engine], [120, engine], [121, engine, 2]).at(-1) ?? []), anew)
  const changed = story([0, engine], [119, engine, 2]).at(-1) ?? []
  assert.equal(untilOverdue(changed, engine, at(119)), 120_000)
  const wasReady = story([0, ready], [3600, engine]).at(-1) ?? []
  assert.equal(untilOverdue(wasReady, engine, at(3600)), 120_000)
})

test('a wait without a deadline may last', () => {
  const deleting: Finding = { kind: 'waiting', reason: 'Deleting', message: 'not yet' }
  const [first = [], later = []] = story([0, deleting], [1e6, deleting])
  assert.deepEqual(later, first)
  assert.equal(untilOverdue(first, deleting, at(0)), undefined)
})

test('failures leave Ready as it was, are said once whatever numbers are in them, and become Stalled', () => {
  const [, first = [], again = [], stalled = [], healed = []] = story(
    [0, ready],
    [1, failing('connect to port 4001')],
    [2, failing('connect to port 4002')],
    [601, failing('connect to port 4003')],
    [602, ready],
  )
  assert.deepEqual(shown(first), ['Ready=True Applied', 'Reconciling=True ReconcileFailed'])
  assert.deepEqual(again, first)
  assert.deepEqual(shown(stalled), ['Ready=True Applied', 'Stalled=True ReconcileFailed'])
  assert.equal(stalled[1]?.message, 'connect to port 4001')
  assert.deepEqual(shown(healed), ['Ready=True Applied'])
})

test('an account that could not be begun with is not Ready because of its failure', () => {
  assert.deepEqual(shown(accountConditions(undefined, failing('no'), 1, at(0))), [
    'Ready=False ReconcileFailed',
    'Reconciling=True ReconcileFailed',
  ])
})

test('failures and waits have each their own time', () => {
  const waiting = story([0, failing('no')], [100, secret]).at(-1) ?? []
  assert.equal(untilOverdue(waiting, secret, at(100)), 60_000)
  const failed = story([0, secret], [59, failing('no')], [600, failing('no')]).at(-1) ?? []
  assert.deepEqual(shown(failed), ['Ready=False SecretMissing', 'Reconciling=True ReconcileFailed'])
})

test('a deadline is worth an Event', () => {
  const [first, overdue = []] = story([0, secret], [60, secret])
  assert.deepEqual(accountEvent(first, overdue), {
    type: 'Warning',
    reason: 'DeadlineExceeded',
    action: 'Reconcile',
    note: 'SecretMissing: no Secret',
  })
  assert.equal(accountEvent(overdue, overdue), undefined)
})
