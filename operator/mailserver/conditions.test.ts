import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition } from '../kube/types.ts'
import { type JudgementInput, judge } from './conditions.ts'
import { spamRulesStatement } from './dependencies/spam-rules.ts'
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

test('lines of spam rules that are left out keep nobody from being Ready, and show where people look', () => {
  const rules = spamRulesStatement(['spam.rules[0]:12: "boby" is not supported'])
  const { conditions, lookAgainMs } = judge(input({ statements: [database, engine, rules] }))
  assert.deepEqual(shown(conditions), [
    'Ready=True SpamRulesLeftOut',
    'DatabaseReady=True ClusterReady',
    'EngineAvailable=True ReplicasAvailable',
    'SpamRulesReady=False SpamRulesLeftOut',
  ])
  assert.equal(
    conditions[0]?.message,
    'SpamRulesReady: A line is left out: spec.spam.rules[0]:12: "boby" is not supported',
  )
  assert.equal(lookAgainMs, undefined)
})

test('Ready is True and names what waits for a person, not what waits for others', () => {
  const certificate = ok('CertificateReady', 'NameMissing', 'The certificate in Secret t is not for mail.example.org')
  const { conditions } = judge(input({ statements: [database, certificate, engine, dnsMissing] }))
  assert.equal(shown(conditions)[0], 'Ready=True NameMissing')
  assert.equal(conditions[0]?.message, 'CertificateReady: The certificate in Secret t is not for mail.example.org')
  assert.equal(
    conditions.some(({ type }) => type === 'Reconciling' || type === 'Stalled'),
    false,
  )
})

test('of many lines that are left out five are named', () => {
  const { message } = spamRulesStatement(Array.from({ length: 7 }, (_, line) => `spam.rules[0]:${line + 1}: x`))
  assert.match(message, /^7 lines are left out: spec\.spam\.rules\[0\]:1: x; .*\[0\]:5: x; and 2 more$/)
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

test('a wait that began after another one has its deadline for itself', () => {
  const dependent: Statement = {
    type: 'EngineAvailable',
    status: 'False',
    reason: 'WaitingForDependencies',
    message: '',
  }
  const { conditions: previous } = judge(input({ statements: [database, dependent] }))
  const since = '2026-06-01T12:14:00Z'
  const starting = waiting('EngineAvailable', 'Starting', '0 of 2', { deadlineMs: 12 * 60_000, since })
  const at = (time: string) => judge(input({ statements: [database, starting], previous, now: new Date(time) }))
  const first = at('2026-06-01T12:15:00Z')
  assert.deepEqual(shown(first.conditions).slice(0, 2), ['Ready=False Starting', 'Reconciling=True Progressing'])
  assert.equal(first.lookAgainMs, 11 * 60_000)
  const [, stalled] = at('2026-06-01T12:26:00Z').conditions
  assert.equal(stalled?.message, `EngineAvailable since ${since}: 0 of 2`)
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

test('what nobody tells us about is looked at ever less often', () => {
  const wait: Statement = { ...waiting('DatabaseReady', 'SecretMissing', 'Secret db'), pollMs: 10_000 }
  const { deadlineMs: _, ...endless } = wait
  const first = judge(input({ statements: [endless, engine] }))
  const after = (ms: number) =>
    judge(input({ statements: [endless, engine], previous: first.conditions, now: new Date(+NOW + ms) })).lookAgainMs
  assert.deepEqual([first.lookAgainMs, after(600_000), after(86_400_000)], [10_000, 100_000, 300_000])
})

test('a failing try is Reconciling with its words; Ready says what is true of the service', () => {
  const { conditions } = judge(input({ failure: 'apply clusters: 500' }))
  assert.deepEqual(shown(conditions).slice(0, 2), ['Ready=True Running', 'Reconciling=True ReconcileFailed'])
})

test('failing before a look: what was known stays, of its generation; nothing known is not Ready', () => {
  const known = judge(input({ generation: 2 })).conditions
  const { conditions } = judge(input({ previous: known, statements: [], failure: 'list secrets: 403' }))
  assert.deepEqual(
    conditions.filter(({ type }) => type !== 'Reconciling'),
    known,
  )
  const pending = [
    { type: 'Ready', status: 'Unknown', reason: 'Pending', message: '', lastTransitionTime: '' },
  ] as const
  const first = judge(input({ previous: [...pending], statements: [], failure: 'list secrets: 403' })).conditions
  assert.deepEqual(shown(first), ['Ready=False ReconcileFailed', 'Reconciling=True ReconcileFailed'])
})

test('the same failure with other numbers in its text is said already', () => {
  const first = judge(input({ failure: 'read tcp 10.0.0.1:4711: reset' })).conditions
  const later = { previous: first, now: new Date(+NOW + 60_000) }
  assert.deepEqual(judge(input({ ...later, failure: 'read tcp 10.0.0.1:4712: reset' })).conditions, first)
  assert.notDeepEqual(judge(input({ ...later, failure: 'apply services: 500' })).conditions, first)
})

test('ten minutes of failing are Stalled until a try succeeds or the spec changes; a rollout before does not count', () => {
  const at = (minutes: number) => new Date(+NOW + minutes * 60_000)
  const rollout = judge(input({ progress: '1 of 2' })).conditions
  const failing = judge(input({ previous: rollout, failure: 'f', now: at(20) })).conditions
  const still = judge(input({ previous: failing, failure: 'f', now: at(29) })).conditions
  assert.deepEqual(still, failing)
  const stalled = judge(input({ previous: still, failure: 'f', now: at(30) })).conditions
  assert.deepEqual(shown(stalled).slice(0, 2), ['Ready=True Running', 'Stalled=True ReconcileFailed'])
  assert.deepEqual(judge(input({ previous: stalled, failure: 'f', now: at(31) })).conditions, stalled)
  const changed = judge(input({ generation: 4, previous: stalled, failure: 'f', now: at(32) })).conditions
  assert.deepEqual(shown(changed).slice(0, 2), ['Ready=True Running', 'Reconciling=True ReconcileFailed'])
  assert.deepEqual(shown(judge(input({ previous: stalled, now: at(33) })).conditions)[0], 'Ready=True Running')
})

test('a pause is told whether the server is ready or not', () => {
  const paused = 'Annotation mail.openova.io/paused: the operator changes nothing'
  assert.equal(shown(judge(input({ paused })).conditions)[0], 'Ready=True Paused')
  const wait = waiting('DatabaseReady', 'Provisioning', 'Cluster db')
  const [ready] = judge(input({ statements: [wait, engine], paused })).conditions
  assert.equal(ready?.reason, 'Provisioning')
  assert.equal(ready?.message, `DatabaseReady: Cluster db. ${paused}`)
})
