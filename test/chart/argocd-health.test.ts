/** charts/mail-operator/argocd/health.lua over what operator and API server really write. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { API_VERSION, FINALIZER, PAUSED } from '../../operator/api/group.ts'
import type { Condition } from '../../operator/kube/types.ts'
import { accountConditions, type Finding } from '../../operator/mailaccount/conditions.ts'
import { judge, type Trouble } from '../../operator/mailserver/conditions.ts'
import { ok, type Statement, waiting } from '../../operator/mailserver/dependencies/statement.ts'
import { createHealthChecker } from './lua.ts'

const repository = join(import.meta.dirname, '../..')
const script = readFileSync(join(repository, 'charts/mail-operator/argocd/health.lua'), 'utf8')
const checker = createHealthChecker()
const NOW = new Date('2026-06-01T12:00:00Z')
const GENERATION = 3

interface Situation {
  kind?: 'MailServer' | 'MailAccount'
  conditions?: Condition[]
  observedGeneration?: number
  paused?: boolean
  deleted?: boolean
  status?: unknown
}

function health({ kind = 'MailServer', conditions, observedGeneration, paused, deleted, status }: Situation) {
  return checker.check(script, {
    apiVersion: API_VERSION,
    kind,
    metadata: {
      name: 'stalwart',
      generation: GENERATION,
      ...(paused ? { annotations: { [PAUSED]: 'true' } } : {}),
      ...(deleted ? { deletionTimestamp: '2026-06-01T12:00:00Z', finalizers: [FINALIZER] } : {}),
    },
    status: status ?? { observedGeneration: observedGeneration ?? GENERATION, conditions: conditions ?? [] },
  })
}

const good = ok('EngineAvailable', 'ReplicasAvailable', '2 of 2')
const DEPENDENCIES: [string, Statement | undefined, string][] = [
  ['all well', good, 'Healthy'],
  ['a wait', waiting('DatabaseReady', 'Provisioning', 'Cluster db: Setting up primary'), 'Progressing'],
  ['a wait past its deadline', waiting('DatabaseReady', 'Provisioning', 'Cluster db', { deadlineMs: 0 }), 'Degraded'],
  ['what only a person mends', waiting('DKIMReady', 'KeyUnusable', 'Secret k', { terminal: true }), 'Degraded'],
  ['DNS records missing', { ...good, type: 'DNSReady', status: 'False', reason: 'RecordsMissing' }, 'Healthy'],
  ['DNS not known', { ...good, type: 'DNSReady', status: 'Unknown', reason: 'LookupFailed' }, 'Healthy'],
  ['database not known', { ...good, type: 'DatabaseReady', status: 'Unknown', reason: 'Checking' }, 'Progressing'],
]
const TROUBLES: (Trouble | undefined)[] = [undefined, { reason: 'ApplyRefused', message: 'Service/stalwart: 422' }]
const ROLLOUTS = [undefined, 'Deployment stalwart: 1 of 2 replicas are up to date']
const yesNo = [false, true]

/** Worst first: deletion, pause and an old look say that the conditions below are not to be judged. */
function expected(of: { state: string; trouble: boolean; rollout: boolean; paused: boolean; stale: boolean }): string {
  if (of.paused) return 'Suspended'
  if (of.stale) return 'Progressing'
  if (of.trouble) return 'Degraded'
  return of.state === 'Healthy' && of.rollout ? 'Progressing' : of.state
}

for (const [what, statement, state] of DEPENDENCIES) {
  test(`a MailServer with ${what}, in every combination with trouble, rollout, pause and an old look`, async () => {
    for (const trouble of TROUBLES)
      for (const progress of ROLLOUTS)
        for (const paused of yesNo)
          for (const stale of yesNo) {
            const { conditions } = judge({
              generation: stale ? GENERATION - 1 : GENERATION,
              previous: undefined,
              statements: statement ? [good, statement] : [good],
              trouble,
              progress,
              paused: paused ? 'Annotation mail.openova.io/paused' : undefined,
              now: NOW,
            })
            const situation = { conditions, paused, observedGeneration: stale ? GENERATION - 1 : GENERATION }
            const { status, message } = await health(situation)
            const facts = { state, trouble: !!trouble, rollout: !!progress, paused, stale }
            assert.equal(status, expected(facts), JSON.stringify({ facts, conditions }))
            assert.notEqual(message, '')
            assert.equal((await health({ ...situation, deleted: true })).status, 'Progressing')
          }
  })
}

const judged = (statements: Statement[], more: { trouble?: Trouble; progress?: string } = {}) =>
  judge({ generation: GENERATION, previous: undefined, statements, now: NOW, ...more }).conditions

test('Degraded says why, with reason and message of Stalled', async () => {
  const trouble = { reason: 'InvalidSpec', message: 'spec.hostname: no' }
  assert.deepEqual(await health({ conditions: judged([], { trouble }) }), {
    status: 'Degraded',
    message: 'InvalidSpec: spec.hostname: no',
  })
})

test('a paused object says what does not happen meanwhile', async () => {
  const wait = waiting('DatabaseReady', 'Provisioning', 'Cluster db: Setting up primary')
  const conditions = judge({
    generation: GENERATION - 1,
    previous: undefined,
    statements: [wait],
    paused: 'Annotation mail.openova.io/paused',
    now: NOW,
  }).conditions
  const { status, message } = await health({ conditions, paused: true, observedGeneration: GENERATION - 1 })
  assert.equal(status, 'Suspended')
  assert.match(message, /not ready: DatabaseReady: Cluster db: Setting up primary/)
  assert.match(message, /the newest spec is not applied$/)
})

test('a rolling update is Progressing and says how far it is', async () => {
  const conditions = judged([good], { progress: '1 of 2 replicas are up to date' })
  assert.equal(conditions[0]?.status, 'True')
  assert.deepEqual(await health({ conditions }), { status: 'Progressing', message: '1 of 2 replicas are up to date' })
})

test('a condition of an older spec is not believed, whatever status.observedGeneration says', async () => {
  const old = judged([good]).map((condition) => ({ ...condition, observedGeneration: GENERATION - 1 }))
  assert.equal((await health({ conditions: old })).status, 'Progressing')
})

test('a spec that cannot be carried out is Progressing with the API’s words, and Degraded after the deadline', async () => {
  // Ready is still of the spec before: it failed before a look.
  const known = judge({ generation: GENERATION - 1, previous: undefined, statements: [good], now: NOW }).conditions
  const failing = (previous: Condition[], now: Date) =>
    judge({ generation: GENERATION, previous, statements: [], failure: 'list secrets: 403', now }).conditions
  const conditions = failing(known, NOW)
  assert.deepEqual(await health({ conditions }), { status: 'Progressing', message: 'list secrets: 403' })
  const late = failing(conditions, new Date(+NOW + 3_600_000))
  assert.deepEqual(await health({ conditions: late }), {
    status: 'Degraded',
    message: 'ReconcileFailed: list secrets: 403',
  })
})

for (const [kind, file] of [
  ['MailServer', 'mailservers.yaml'],
  ['MailAccount', 'mailaccounts.yaml'],
] as const) {
  test(`a ${kind} as the API server fills it in at creation is Progressing`, async () => {
    const crd = parse(readFileSync(join(repository, 'crds', file), 'utf8'))
    const status = crd.spec.versions[0].schema.openAPIV3Schema.properties.status.default
    assert.equal(status.observedGeneration, -1)
    assert.equal((await health({ kind, status })).status, 'Progressing')
    assert.equal((await health({ kind, status: {} })).status, 'Progressing')
  })
}

for (const [finding, state] of [
  ['ready', 'Healthy'],
  ['waiting', 'Progressing'],
  ['stalled', 'Degraded'],
] as const satisfies [Finding['kind'], string][]) {
  test(`a MailAccount that is ${finding} is ${state}; paused it is Suspended, with an old look Progressing`, async () => {
    const said = { kind: finding, reason: 'AddressTaken', message: 'ann@example.org is taken' }
    const conditions = accountConditions(undefined, said, GENERATION, NOW)
    const kind = 'MailAccount'
    assert.equal((await health({ kind, conditions })).status, state)
    // The operator does not look at a paused account at all.
    assert.equal((await health({ kind, conditions, paused: true, observedGeneration: 1 })).status, 'Suspended')
    assert.equal((await health({ kind, conditions, observedGeneration: GENERATION - 1 })).status, 'Progressing')
    assert.equal((await health({ kind, conditions, deleted: true })).status, 'Progressing')
  })
}

test('gitops.md installs this file under the key of each kind', () => {
  const page = readFileSync(join(repository, 'docs/gitops.md'), 'utf8')
  for (const kind of ['MailServer', 'MailAccount']) {
    const key = `resource.customizations.health.mail.openova.io_${kind}`
    assert.ok(page.includes(`--from-file=${key}=charts/mail-operator/argocd/health.lua`), kind)
    assert.ok(page.includes(`- ${key}=health.lua`), kind)
  }
})
