import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, parseEngineConfig, parseNewerConfig } from './config.ts'

const document = (more: object = {}) => ({ hostname: 'mx.example.org', domains: [{ name: 'example.org' }], ...more })

test('fields of a newer version are left out and named, wherever they are', () => {
  const newer = document({
    domains: [{ name: 'example.org', archive: { days: 7 } }],
    limits: { messageBytes: 100_000, messagesPerDay: 5 },
    quarantine: {},
  })
  assert.throws(() => parseEngineConfig(newer), ConfigError)
  const { config, unknownFields } = parseNewerConfig(newer)
  assert.deepEqual(unknownFields.toSorted(), ['domains[0].archive', 'limits.messagesPerDay', 'quarantine'])
  assert.deepEqual(config, parseEngineConfig(document({ limits: { messageBytes: 100_000 } })))
  assert.deepEqual(Reflect.get(newer, 'quarantine'), {}, 'what was given is not changed')
})

test('a document of this version has no unknown field', () => {
  assert.deepEqual(parseNewerConfig(document()), { config: parseEngineConfig(document()), unknownFields: [] })
})

test('a wrong value is refused, beside unknown fields too', () => {
  assert.throws(() => parseNewerConfig(document({ hostname: 'Mail', quarantine: {} })), /hostname/)
  for (const bad of [null, 'text', [], 7]) assert.throws(() => parseNewerConfig(bad), ConfigError)
})
