import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deployment } from './objects.ts'
import { nextScale, type SetCount } from './rollout.ts'

const deployment = (replicas: number, strategy: Deployment['spec']['strategy']): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: { replicas, selector: {}, template: { spec: { containers: [] } }, ...(strategy ? { strategy } : {}) },
})
const set = (name: string, wanted: number, available = wanted, existing = wanted): SetCount => ({
  name,
  wanted,
  existing,
  available,
})
const surgeOne = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }

for (const [given, replicas, strategy, current, old, want] of [
  ['a first rollout starts all at once', 2, surgeOne, set('new', 0), [], { new: 2 }],
  ['a change surges by one', 2, surgeOne, set('new', 0), [set('old', 2)], { new: 1 }],
  ['nothing stops before the new one is available', 2, surgeOne, set('new', 1, 0), [set('old', 2)], {}],
  ['an available new one lets an old one go', 2, surgeOne, set('new', 1, 1), [set('old', 2)], { old: 1 }],
  [
    'one that is told to go and still answers lets no other go',
    2,
    surgeOne,
    set('new', 1, 1),
    [set('old', 1, 2, 2)],
    { new: 2 },
  ],
  ['the next new one follows', 2, surgeOne, set('new', 1, 1), [set('old', 1)], { new: 2 }],
  ['broken old ones go first', 2, surgeOne, set('new', 1, 0), [set('bad', 1, 0), set('old', 2, 2)], { bad: 0 }],
  [
    'maxUnavailable lets old ones go at once',
    4,
    { rollingUpdate: { maxSurge: 0, maxUnavailable: '50%' } },
    set('new', 0),
    [set('old', 4)],
    { old: 2 },
  ],
  ['Recreate stops all first', 2, { type: 'Recreate' }, set('new', 0), [set('old', 2)], { old: 0 }],
  ['Recreate waits for the last old Pod', 2, { type: 'Recreate' }, set('new', 0), [set('old', 0, 0, 1)], {}],
  ['Recreate then starts', 2, { type: 'Recreate' }, set('new', 0), [set('old', 0)], { new: 2 }],
  ['scaling down', 1, surgeOne, set('new', 3), [], { new: 1 }],
  ['settled', 2, surgeOne, set('new', 2), [set('old', 0)], {}],
] as const) {
  test(`rollout: ${given}`, () =>
    assert.deepEqual(Object.fromEntries(nextScale(deployment(replicas, strategy), current, old)), want))
}
