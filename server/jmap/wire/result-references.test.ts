import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Invocation, resolveReferences } from './result-references.ts'

const results: Invocation[] = [
  ['Email/query', { ids: ['e1', 'e2'] }, 'q'],
  [
    'Email/get',
    {
      list: [
        { id: 'e1', to: ['x', 'y'], 'a/b': 1 },
        { id: 'e2', to: ['z'], 'a/b': 2 },
      ],
    },
    'g',
  ],
  ['error', { type: 'serverFail' }, 'f'],
]
const resolve = (path: string, [resultOf, name] = ['g', 'Email/get']) =>
  resolveReferences({ '#ids': { resultOf, name, path } }, results).ids

for (const [path, want] of [
  ['', results[1]?.[1]],
  ['/list/0/id', 'e1'],
  ['/list/*/id', ['e1', 'e2']],
  ['/list/*/to', ['x', 'y', 'z']],
  ['/list/*/a~1b', [1, 2]],
] as const)
  test(`a reference to ${path || 'the whole result'} (RFC 8620 §3.7)`, () => assert.deepEqual(resolve(path), want))

for (const [given, work] of [
  ['a path that leads nowhere', () => resolve('/list/*/nothing')],
  ['a path into the prototype', () => resolve('/list/0/constructor')],
  ['an index that is none', () => resolve('/list/00/id')],
  ['an unknown call', () => resolve('/ids', ['x', 'Email/query'])],
  ['a call that failed', () => resolve('/type', ['f', 'Email/get'])],
  ['no reference at all', () => resolveReferences({ '#ids': 'q' }, results)],
] as const)
  test(`${given} is invalidResultReference`, () => assert.throws(work, { type: 'invalidResultReference' }))

test('an argument with and without # is invalidArguments', () => {
  const reference = { resultOf: 'q', name: 'Email/query', path: '/ids' }
  assert.throws(() => resolveReferences({ ids: [], '#ids': reference }, results), { type: 'invalidArguments' })
})
