import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptResult } from './attempt.ts'
import { outcomeOf, parseReply } from './reply.ts'
import { decide } from './settlement.ts'
import type { Delivery, QueuedRecipient } from './store.ts'

const now = new Date('2026-03-01T12:00:00Z')
const hours = (count: number) => new Date(+now + count * 3_600_000)

function decided(reply: string, recipient: Partial<QueuedRecipient> = {}, delivery: Partial<Delivery> = {}) {
  const one: QueuedRecipient = {
    id: '1',
    address: 'joe@example.net',
    attempts: 0,
    delayReported: false,
    ...recipient,
  }
  const whole: Delivery = {
    messageId: '9',
    domain: 'example.net',
    reversePath: 'ann@example.org',
    envelopeId: undefined,
    ret: undefined,
    sizeBytes: 1,
    createdAt: hours(-1),
    expiresAt: hours(100),
    recipients: [one],
    ...delivery,
  }
  const parsed = parseReply(reply)
  const result: AttemptResult = { outcome: outcomeOf(parsed), reply: parsed, remoteHost: 'mx', remoteSendsDsn: false }
  const { settlements, reports, counts } = decide(
    whole,
    new Map([[one.address, result]]),
    { retryDelaysMs: [60_000] },
    now,
    () => 0.5,
  )
  return { done: settlements[0]?.done, told: reports.map(({ action }) => action).join(), counts }
}

for (const [what, got, done, told] of [
  ['delivered', decided('250 ok'), true, ''],
  ['delivered, NOTIFY=SUCCESS, to a server without DSN', decided('250 ok', { notify: ['success'] }), true, 'relayed'],
  ['refused', decided('550 no'), true, 'failed'],
  ['refused, NOTIFY=NEVER', decided('550 no', { notify: ['never'] }), true, ''],
  ['refused, null reverse-path (RFC 5321 §6.1)', decided('550 no', {}, { reversePath: '' }), true, ''],
  ['deferred', decided('450 later'), false, ''],
  ['deferred for hours', decided('450 later', {}, { createdAt: hours(-5) }), false, 'delayed'],
  [
    'deferred for hours, told before',
    decided('450 later', { delayReported: true }, { createdAt: hours(-5) }),
    false,
    '',
  ],
  [
    'deferred for hours, NOTIFY=FAILURE',
    decided('450 later', { notify: ['failure'] }, { createdAt: hours(-5) }),
    false,
    '',
  ],
  ['deferred beyond its time', decided('450 later', {}, { expiresAt: now }), true, 'failed'],
] as const)
  test(`${what}: ${done ? 'done' : 'waits'}${told && `, sender is told "${told}"`}`, () => {
    assert.equal(got.done, done)
    assert.equal(got.told, told)
  })
