import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, readOperatorConfig } from './config.ts'

test('without any variable it watches everything and leads by a Lease', () => {
  const config = readOperatorConfig({}, 'ab')
  assert.deepEqual([config.namespaces, config.healthPort, config.leaderElection.enabled], [[], 8081, true])
  assert.deepEqual(
    [config.leaderElection.leaseMs, config.leaderElection.renewMs, config.leaderElection.retryMs],
    [15_000, 10_000, 2_000],
  )
})

test('what is set is used', () => {
  const config = readOperatorConfig(
    {
      WATCH_NAMESPACES: 'a, b',
      ENGINE_IMAGE: 'i',
      HEALTH_PORT: '0',
      LEADER_ELECTION: 'false',
      POD_NAME: 'p',
      POD_NAMESPACE: 'mail',
    },
    'ab',
  )
  assert.deepEqual(config.namespaces, ['a', 'b'])
  assert.deepEqual([config.engineImage, config.healthPort, config.identity], ['i', 0, 'p_ab'])
  assert.deepEqual([config.leaderElection.enabled, config.leaderElection.namespace], [false, 'mail'])
})

test('every bad variable is named at once', () => {
  const env = { HEALTH_PORT: 'x', LEADER_ELECTION: 'yes', LOG_LEVEL: 'loud', LEADER_ELECTION_LEASE_SECONDS: '5' }
  assert.throws(
    () => readOperatorConfig(env, ''),
    (error) =>
      error instanceof ConfigError &&
      ['HEALTH_PORT', 'LEADER_ELECTION:', 'LOG_LEVEL', 'LEADER_ELECTION_*'].every((name) =>
        error.message.includes(name),
      ),
  )
})
