import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configProblem } from './config-problem.ts'
import type { DesiredContext } from './desired/context.ts'
import { contextOf, EVERYTHING } from './testing/context.ts'

/** With a spec that no schema has seen. */
function withSpec(change: (spec: DesiredContext['spec']) => void): DesiredContext {
  const context = contextOf(EVERYTHING)
  const spec = structuredClone(context.spec)
  change(spec)
  return { ...context, spec }
}

test('a configuration that the engine understands is no problem', () => {
  assert.equal(configProblem(contextOf()), undefined)
  assert.equal(configProblem(contextOf(EVERYTHING)), undefined)
})

for (const [change, says] of [
  [(spec) => Object.assign(spec.outbound, { expire: '999999999999999999h' }), /^spec\.outbound\.expire: /],
  [(spec) => Object.assign(spec.outbound, { retryDelays: [] }), /^spec\.outbound\.retryDelays: /],
  [(spec) => Object.assign(spec.storage.s3 ?? {}, { endpoint: 'nowhere' }), /^spec\.storage\.s3\.endpoint: /],
  [(spec) => Object.assign(spec.dns, { mtaSts: 'perhaps' }), /^spec\.dns\.mtaSts: /],
  [
    (spec) => {
      spec.dns.resolvers = Array.from({ length: 9 }, () => '192.0.2.53')
      spec.limits.databaseConnections = 0
    },
    /^spec\.dns\.resolvers: .*; spec\.limits\.databaseConnections: /,
  ],
] as [(spec: DesiredContext['spec']) => void, RegExp][]) {
  test(`what the engine refuses has the name of the spec: ${says.source}`, () => {
    assert.match(configProblem(withSpec(change)) ?? 'none', says)
  })
}

test('more keys than the engine signs with are a problem of their domain', () => {
  const context = contextOf()
  const [key] = context.facts.dkimKeys
  assert.ok(key)
  const dkimKeys = Array.from({ length: 9 }, (_, index) => ({ ...key, selector: `imported-${index}` }))
  const problem = configProblem({ ...context, facts: { ...context.facts, dkimKeys } })
  assert.match(problem ?? 'none', /^spec\.domains\[0\]\.dkim: /)
})
