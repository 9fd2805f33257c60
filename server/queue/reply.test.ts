import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcomeOf, parseReply } from './reply.ts'

for (const [line, enhanced, outcome] of [
  ['250 2.1.5 ok', '2.1.5', 'delivered'],
  ['250 ok', '2.0.0', 'delivered'],
  ['451 4.7.1 greylisted', '4.7.1', 'deferred'],
  ['450 5.1.1 confused: the code decides', '4.0.0', 'deferred'],
  ['550-5.1.1 first line\r\n550 5.1.1 second line', '5.1.1', 'failed'],
  ['552 mailbox full', '5.0.0', 'failed'],
  ['gibberish', '4.0.0', 'deferred'],
] as const)
  test(`reply ${JSON.stringify(line)} is ${outcome}`, () => {
    const reply = parseReply(line)
    assert.equal(reply.enhanced, enhanced)
    assert.equal(outcomeOf(reply), outcome)
    assert.doesNotMatch(reply.text, /[\r\n]/)
  })
