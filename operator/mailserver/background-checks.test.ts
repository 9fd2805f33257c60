import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createBackgroundChecks } from './background-checks.ts'

const KEY = { namespace: 'n', name: 'a' }

function checks(run: (input: string) => Promise<string>, freshMs = 60_000) {
  const news: string[] = []
  const running = createBackgroundChecks<string, string>({
    run,
    freshMs: () => freshMs,
    onNews: ({ name }) => news.push(name),
    random: () => 0.5,
  })
  return { ...running, news }
}

test('the first look has no answer; it comes as news', async () => {
  const { latest, news, stop } = checks(async (input) => `${input}!`)
  assert.equal(latest(KEY, 'x'), undefined)
  await turn()
  assert.deepEqual(news, ['a'])
  assert.equal(latest(KEY, 'x'), 'x!')
  stop()
})

test('another question forgets the answer to the old one', async () => {
  const { latest, stop } = checks(async (input) => `${input}!`)
  latest(KEY, 'x')
  await turn()
  assert.equal(latest(KEY, 'y'), undefined)
  await turn()
  assert.equal(latest(KEY, 'y'), 'y!')
  stop()
})

test('the answer to a question that changed meanwhile is not taken', async () => {
  const gates = new Map<string, PromiseWithResolvers<string>>()
  const { latest, stop } = checks((input) => {
    const gate = Promise.withResolvers<string>()
    gates.set(input, gate)
    return gate.promise
  })
  latest(KEY, 'x')
  latest(KEY, 'y')
  gates.get('x')?.resolve('x!')
  await turn()
  assert.equal(latest(KEY, 'y'), undefined)
  gates.get('y')?.resolve('y!')
  await turn()
  assert.equal(latest(KEY, 'y'), 'y!')
  stop()
})

test('the same answer again is no news', async () => {
  let times = 0
  const { latest, news, stop } = checks(async () => {
    times++
    return 'same'
  })
  latest(KEY, 'x')
  await turn()
  latest(KEY, 'x', { wish: 'now' })
  await turn()
  assert.deepEqual([times, news], [2, ['a']])
  stop()
})

test('an answer that is no longer fresh is asked for again by itself', async () => {
  const twice = Promise.withResolvers<void>()
  let times = 0
  const { latest, stop } = checks(async () => {
    if (++times === 2) twice.resolve()
    return String(times)
  }, 1)
  latest(KEY, 'x')
  // The timer alone does not keep the process.
  const alive = setInterval(() => {}, 1000)
  await twice.promise
  clearInterval(alive)
  stop()
})

test('no more than so many at once', async () => {
  let now = 0
  let most = 0
  const { latest, stop } = checks(async () => {
    most = Math.max(most, ++now)
    await turn()
    now--
    return ''
  })
  for (let index = 0; index < 20; index++) latest({ namespace: 'n', name: `s${index}` }, 'x')
  for (let index = 0; index < 40; index++) await turn()
  assert.equal(most, 4)
  stop()
})

test('who waits for a first answer goes before who had one, and this one before asking again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const asked: string[] = []
  const gates: PromiseWithResolvers<string>[] = []
  const { latest, stop } = createBackgroundChecks<string, string>({
    run: (input) => {
      asked.push(input)
      const gate = Promise.withResolvers<string>()
      gates.push(gate)
      return gate.promise
    },
    freshMs: () => 1,
    onNews: () => {},
    atOnce: 1,
    random: () => 0.5, // due in the order in which they were answered
  })
  const answer = async () => {
    gates.shift()?.resolve('no')
    await turn()
  }
  const named = (name: string) => ({ namespace: 'n', name })
  for (const name of ['failing', 'too', 'slow']) latest(named(name), name)
  await answer()
  await answer()
  t.mock.timers.tick(2) // both are due again, and the third is still being asked about
  latest(named('settled'), 'settled', { known: true })
  latest(named('new'), 'new')
  await answer()
  await answer()
  await answer()
  assert.deepEqual(asked.slice(2), ['slow', 'new', 'settled', 'failing'])
  stop()
})

test('a check that throws is no answer and ends nothing', async () => {
  const { latest, news, stop } = checks(async () => Promise.reject(new Error('bug')))
  latest(KEY, 'x')
  await turn()
  assert.equal(latest(KEY, 'x'), undefined)
  assert.deepEqual(news, [])
  stop()
})

test('how often an answer has come again is told; news, another question and a wish begin anew', async () => {
  const answers = ['a', 'a', 'a', 'b', 'b', 'b', 'b']
  const told: string[] = []
  const { latest, stop } = createBackgroundChecks<string, string>({
    run: async () => answers.shift() ?? '',
    freshMs: (answer, unchanged) => {
      told.push(`${answer}${unchanged}`)
      return 60_000
    },
    onNews: () => {},
  })
  const ask = async (input: string, wish: string) => {
    latest(KEY, input, { wish })
    await turn()
  }
  await ask('x', '1')
  await ask('x', '2')
  assert.deepEqual(told, ['a0', 'a0'])
  stop()
  told.length = 0
  const timed = Promise.withResolvers<void>()
  const again = createBackgroundChecks<string, string>({
    run: async () => answers.shift() ?? '',
    freshMs: (answer, unchanged) => {
      told.push(`${answer}${unchanged}`)
      if (answers.length === 0) timed.resolve()
      return 1
    },
    onNews: () => {},
  })
  again.latest(KEY, 'x')
  // The timer alone does not keep the process.
  const alive = setInterval(() => {}, 1000)
  await timed.promise
  clearInterval(alive)
  again.stop()
  assert.deepEqual(told.slice(0, 5), ['a0', 'b0', 'b1', 'b2', 'b3'])
})

test('a check that does not hear its deadline gives its place to the others', async () => {
  const { latest, stop } = createBackgroundChecks<string, string>({
    run: async (input) => (input === 'deaf' ? new Promise<never>(() => {}) : `${input}!`),
    freshMs: () => 60_000,
    onNews: ({ name }) => heard.resolve(name),
    atOnce: 1,
    deadlineMs: 1,
    graceMs: 1,
  })
  const heard = Promise.withResolvers<string>()
  latest(KEY, 'deaf')
  latest({ namespace: 'n', name: 'b' }, 'x')
  assert.equal(await heard.promise, 'b')
  stop()
})
