import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition } from '../kube/types.ts'
import { type JudgementInput, judge } from './conditions.ts'
import { ok, type Statement, waiting } from './dependencies/statement.ts'

const NOW = new Date('2026-06-01T12:00:00Z')
const database = ok('DatabaseReady', 'ClusterReady', 'healthy')
const engine = ok('EngineAvailable', 'ReplicasAvailable', '2 of 2')
const dnsMissing: Statement = { type: 'DNSReady', status: 'False', reason: 'RecordsMissing', message: 'MX example.org' }
const input = (more: Partial<JudgementInput>): JudgementInput => ({
  generation: 3,
  previous: undefined,
  statements: [database, engine],
  now: NOW,
  ...more,
})
const shown = (conditions: Condition[]) => conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`)

test('all well: Ready, neither Reconciling nor Stalled', () => {
  const { conditions, lookAgainMs } = judge(input({}))
  assert.deepEqual(shown(conditions), [
    'Ready=True Running',
    'DatabaseReady=True ClusterReady',
    'EngineAvailable=True ReplicasAvailable',
  ])
  assert.ok(conditions.every(({ observedGeneration }) => observedGeneration === 3))
  assert.equal(lookAgainMs, undefined)
})

test('DNS that is not published does not keep a server from being Ready', () => {
  assert.equal(shown(judge(input({ statements: [database, engine, dnsMissing] })).conditions)[0], 'Ready=True Running')
})

test('the first thing that is missing is why it is not Ready', () => {
  const wait = waiting('DatabaseReady', 'Provisioning', 'Cluster db: Setting up primary', { deadlineMs: 60_000 })
  const { conditions, lookAgainMs } = judge(input({ statements: [wait, engine] }))
  assert.deepEqual(shown(conditions).slice(0, 2), ['Ready=False Provisioning', 'Reconciling=True Progressing'])
  assert.equal(conditions[0]?.message, 'DatabaseReady: Cluster db: Setting up primary')
  assert.equal(lookAgainMs, 60_000)
})

test('a wait past its deadline is Stalled, and not Reconciling any more', () => {
  const wait = waiting('DatabaseReady', 'Provisioning', 'Cluster db: Setting up primary', { deadlineMs: 60_000 })
  const first = judge(input({ statements: [wait, engine] }))
  const later = judge(input({ statements: [wait, engine], previous: first.conditions, now: new Date(+NOW + 61_000) }))
  assert.deepEqual(shown(later.conditions).slice(0, 2), ['Ready=False Provisioning', 'Stalled=True DeadlineExceeded'])
  assert.match(later.conditions[1]?.message ?? '', /DatabaseReady since 2026-06-01T12:00:00Z: Cluster db/)
  const healed = judge(input({ previous: later.conditions, now: new Date(+NOW + 70_000) }))
  assert.deepEqual(shown(healed.conditions)[0], 'Ready=True Running')
  assert.equal(
    healed.conditions.some(({ type }) => type === 'Stalled'),
    false,
  )
})

test('what nothing but a person can mend is Stalled at once', () => {
  const broken = waiting('DatabaseReady', 'Unrecoverable', 'Cluster db', { terminal: true })
  assert.ok(shown(judge(input({ statements: [broken, engine] })).conditions).includes('Stalled=True Unrecoverable'))
})

test('a rollout of a server that answers is Reconciling and Ready', () => {
  assert.deepEqual(shown(judge(input({ progress: '1 of 2' })).conditions).slice(0, 2), [
    'Ready=True Running',
    'Reconciling=True Progressing',
  ])
})

test('an invalid spec is Stalled with its reason, whatever was before', () => {
  const { conditions } = judge(
    input({
      statements: [],
      trouble: { reason: 'InvalidSpec', message: 'spec.hostname: bad' },
      previous: judge(input({})).conditions,
    }),
  )
  assert.deepEqual(shown(conditions).slice(0, 2), ['Ready=False InvalidSpec', 'Stalled=True InvalidSpec'])
})

test('the same facts a minute later leave an equal list: nothing is written', () => {
  const wait = waiting('NetworkReady', 'AddressPending', 'Service s')
  const statements = [database, wait]
  const first = judge(input({ statements })).conditions
  assert.deepEqual(judge(input({ statements, previous: first, now: new Date(+NOW + 60_000) })).conditions, first)
})

test('a condition about something that is no longer asked for goes', () => {
  const backup: Statement = { type: 'BackupReady', status: 'False', reason: 'BackupFailed', message: 'Cluster db' }
  const { conditions } = judge(input({ statements: [database, engine, backup] }))
  assert.equal(shown(conditions)[0], 'Ready=True Running')
  assert.equal(
    judge(input({ previous: conditions })).conditions.some(({ type }) => type === 'BackupReady'),
    false,
  )
})

test('of several times to look again the earliest counts', () => {
  const statements = [
    waiting('StorageReady', 'SecretMissing', 's', { pollMs: 10_000 }),
    waiting('NetworkReady', 'AddressPending', 'n'),
  ]
  assert.equal(judge(input({ statements })).lookAgainMs, 10_000)
})
