import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoginThrottle } from './login-throttle.ts'

function throttle(failuresPerHour: number) {
  const counts = new Map<string, number>()
  const asked: string[] = []
  let now = 0
  const made = createLoginThrottle({
    counter: {
      async add(key, amount) {
        counts.set(key, (counts.get(key) ?? 0) + amount)
        return counts.get(key) ?? 0
      },
      async count(key) {
        asked.push(key)
        return counts.get(key) ?? 0
      },
    },
    failuresPerHour: () => failuresPerHour,
    now: () => new Date(now),
  })
  const later = (ms: number) => {
    now += ms
  }
  return { ...made, asked, later }
}

test('an address is turned away after too many failures, and no other', async () => {
  const { allowed, failed } = throttle(2)
  await failed('192.0.2.1')
  assert.equal(await allowed('192.0.2.1'), true)
  await failed('192.0.2.1')
  assert.equal(await allowed('192.0.2.1'), false)
  assert.equal(await allowed('192.0.2.2'), true)
})

test('IPv6 clients are counted by /64: one has all of it', async () => {
  const { allowed, failed } = throttle(1)
  await failed('2001:db8::1')
  assert.equal(await allowed('2001:db8::ffff'), false)
  assert.equal(await allowed('2001:db8:0:1::1'), true)
})

test('who was fine a moment ago is not looked up again, until they fail', async () => {
  const { allowed, failed, asked, later } = throttle(5)
  await allowed('192.0.2.1')
  await allowed('192.0.2.1')
  assert.equal(asked.length, 1)
  await failed('192.0.2.1')
  await allowed('192.0.2.1')
  later(10_000)
  await allowed('192.0.2.1')
  assert.equal(asked.length, 3)
})
