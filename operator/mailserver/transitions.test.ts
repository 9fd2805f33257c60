import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Condition } from '../kube/types.ts'
import { transitions } from './transitions.ts'

const of = (type: string, status: Condition['status'], reason: string): Condition[] => [
  { type, status, reason, message: 'why', lastTransitionTime: '2026-06-01T00:00:00Z', observedGeneration: 1 },
]
const told = (before: Condition[] | undefined, after: Condition[]) =>
  transitions(before, after).map(({ type, reason, note }) => `${type} ${reason}: ${note}`)

test('what was well and is not is a warning; what is well again is told', () => {
  assert.deepEqual(told(of('DNSReady', 'True', 'Published'), of('DNSReady', 'False', 'RecordsMissing')), [
    'Warning RecordsMissing: DNSReady=False: why',
  ])
  assert.deepEqual(told(of('DNSReady', 'False', 'RecordsMissing'), of('DNSReady', 'True', 'Published')), [
    'Normal DNSReady: DNSReady=True: why',
  ])
})

test('how everything begins, and the same again, is not told', () => {
  assert.deepEqual(told(undefined, of('DatabaseReady', 'False', 'Creating')), [])
  assert.deepEqual(told(of('DKIMReady', 'True', 'KeysReady'), of('DKIMReady', 'True', 'Rotating')), [])
})

test('a mistake in spam rules is news from the beginning, once', () => {
  const wrong = of('SpamRulesReady', 'False', 'SpamRulesLeftOut')
  assert.deepEqual(told(undefined, wrong), ['Warning SpamRulesLeftOut: SpamRulesReady=False: why'])
  assert.deepEqual(told(wrong, wrong), [])
})

test('a certificate that ends soon is a warning once, although the condition is True', () => {
  const soon = of('CertificateReady', 'True', 'ExpiresSoon')
  assert.deepEqual(told(of('CertificateReady', 'True', 'Provided'), soon), [
    'Warning ExpiresSoon: CertificateReady=True: why',
  ])
  assert.deepEqual(told(soon, soon), [])
})

test('a certificate that lacks the host name is a warning from the beginning, once, although Ready names it too', () => {
  const missing = [...of('Ready', 'True', 'NameMissing'), ...of('CertificateReady', 'True', 'NameMissing')]
  const warned = ['Warning NameMissing: CertificateReady=True: why']
  assert.deepEqual(told(of('Ready', 'True', 'Running'), missing), warned)
  assert.deepEqual(
    told([...of('Ready', 'True', 'Running'), ...of('CertificateReady', 'True', 'Provided')], missing),
    warned,
  )
  assert.deepEqual(told(missing, missing), [])
})
