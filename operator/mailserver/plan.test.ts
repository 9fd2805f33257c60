import assert from 'node:assert/strict'
import { test } from 'node:test'
import { APPLIED_HASH } from '../api/group.ts'
import { withHash } from '../kube/apply-if-changed.ts'
import type { KubeObject } from '../kube/types.ts'
import { idOf } from './kinds.ts'
import { planChanges } from './plan.ts'

const UID = 'uid-1'
const object = (
  name: string,
  data: Record<string, string> = {},
  more: Partial<KubeObject['metadata']> = {},
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name,
    namespace: 'n',
    labels: { 'app.kubernetes.io/managed-by': 'mail-operator' },
    ownerReferences: [
      { apiVersion: 'mail.openova.io/v1alpha1', kind: 'MailServer', name: 's', uid: UID, controller: true },
    ],
    ...more,
  },
  data,
})
/** As the API server gives it back: more in it than was sent. */
const live = (sent: KubeObject): KubeObject => {
  const applied = withHash(sent, APPLIED_HASH)
  return { ...applied, metadata: { ...applied.metadata, uid: `uid of ${sent.metadata.name}`, resourceVersion: '7' } }
}
const byId = (...objects: KubeObject[]) => new Map(objects.map((one) => [idOf(one), one]))
const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name)

test('what is missing is applied, with its hash', () => {
  const { apply, unseen, remove } = planChanges([object('a')], byId(), UID)
  assert.deepEqual([names(apply), names(remove)], [['a'], []])
  assert.ok(unseen.has('ConfigMap/a'))
  assert.ok(apply[0]?.metadata.annotations?.[APPLIED_HASH])
})

test('what is as desired is left alone', () => {
  assert.deepEqual(planChanges([object('a', { x: '1' })], byId(live(object('a', { x: '1' }))), UID), {
    apply: [],
    unseen: new Set(),
    release: [],
    remove: [],
  })
})

for (const [what, before, drift] of [
  ['a value somebody changed', { x: '1' }, { data: { x: '2' } }],
  ['a value we no longer want', { x: '1', y: '2' }, {}],
] as const) {
  test(`${what} is applied again`, () => {
    const now = { ...live(object('a', before)), ...drift }
    assert.deepEqual(names(planChanges([object('a', { x: '1' })], byId(now), UID).apply), ['a'])
  })
}

test('what is ours and no longer desired is removed', () => {
  assert.deepEqual(names(planChanges([], byId(live(object('old'))), UID).remove), ['old'])
})

const foreign = [
  ['without our label', live(object('x', {}, { labels: {} }))],
  ['without our hash', object('x')],
  [
    'of another MailServer of that name',
    live(
      object(
        'x',
        {},
        { ownerReferences: [{ apiVersion: '', kind: 'MailServer', name: 's', uid: 'uid-2', controller: true }] },
      ),
    ),
  ],
  ['that is retained', live(object('x', {}, { ownerReferences: [] }))],
  ['that goes already', live(object('x', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }))],
] as const
for (const [what, one] of foreign) {
  test(`an object ${what} is never removed`, () => assert.deepEqual(planChanges([], byId(one), UID).remove, []))
}

test('what is kept stays although nothing desires it now', () => {
  assert.deepEqual(planChanges([], byId(live(object('old'))), UID, new Set(['ConfigMap/old'])).remove, [])
})

for (const [kind, component] of [
  ['Cluster', 'mail-database'],
  ['ObjectStore', 'mail-database'],
  ['Secret', 'mail-dkim'],
  ['Secret', 'mail-authority'],
] as const) {
  test(`a ${kind} of component ${component} outlives its wish, also when the MailServer owns it`, () => {
    const { labels } = object('x').metadata
    const data = live({ ...object('x', {}, { labels: { ...labels, 'app.kubernetes.io/name': component } }), kind })
    assert.deepEqual(planChanges([], byId(data), UID).remove, [])
  })
}

test('data is changed where it is, and never made by a change', () => {
  const cluster = (size: string) => ({ ...object('db'), kind: 'Cluster', spec: { size } })
  const uidOf = (...there: KubeObject[]) => planChanges([cluster('2Gi')], byId(...there), UID).apply[0]?.metadata.uid
  assert.equal(uidOf(live(cluster('1Gi'))), 'uid of db')
  assert.equal(uidOf(), undefined)
  assert.equal(planChanges([cluster('1Gi')], byId(live(cluster('1Gi'))), UID).apply.length, 0)
})

test('a backup schedule that is not wanted any more goes, also where data is retained', () => {
  const schedule = live({ ...object('x', {}, { ownerReferences: [] }), kind: 'ScheduledBackup' })
  assert.deepEqual(names(planChanges([], byId(schedule), UID).remove), ['x'])
})
