import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { networkPolicy, podDisruptionBudget, serviceAccount } from './pod-guards.ts'

test('a budget only where there is a second Pod', () => {
  assert.ok(podDisruptionBudget(contextOf({ replicas: 2 })))
  assert.equal(podDisruptionBudget(contextOf({ replicas: 1 })), undefined)
})

test('the account has no token in the Pods', () => {
  assert.equal(serviceAccount(contextOf()).automountServiceAccountToken, false)
})

test('the policy lets in the five ports and keeps Pods from the node’s metadata service', () => {
  const text = JSON.stringify(networkPolicy(contextOf())?.spec)
  for (const port of [25, 465, 587, 993, 8080]) assert.ok(text.includes(`"port":${port}}`), text)
  assert.ok(text.includes('169.254.169.254/32'))
  assert.equal(networkPolicy(contextOf({ networkPolicy: { enabled: false } })), undefined)
})
