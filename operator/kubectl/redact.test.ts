import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redacted } from './redact.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const secret = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
})
const configMap = (text: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { text } })
const textOf = (...args: Parameters<typeof redacted>) => redacted(...args).at(-1)?.data?.text

test('a Secret keeps its keys and lengths, public certificates among them', () => {
  const [object] = redacted([secret({ 'tls.crt': 'certificate', 'tls.key': 'private', empty: '' })])
  assert.deepEqual(object?.data, {
    'tls.crt': '[redacted], 11 bytes',
    'tls.key': '[redacted], 7 bytes',
    empty: '[redacted], 0 bytes',
  })
})

test('stringData never comes from the API, and does not pass either', () => {
  const [object] = redacted([{ ...secret({}), stringData: { token: 'x' } }])
  assert.equal('stringData' in (object ?? {}), false)
})

for (const [what, values, text, want] of [
  ['a value', ['hunter2hunter2'], 'it is hunter2hunter2!', 'it is [redacted]!'],
  ['its base64', ['hunter2hunter2'], base64('hunter2hunter2'), '[redacted]'],
  ['a value that contains another', ['abcdefgh', 'abcdefghijkl'], 'abcdefghijkl abcdefgh', '[redacted] [redacted]'],
  ['a value with a newline at its end', ['hunter2hunter2\n'], 'hunter2hunter2', '[redacted]'],
  ['a short value: it would be found everywhere', ['5432'], 'port 5432', 'port 5432'],
  ['a password in a URL', [], 'postgres://app:pw@db:5432/app', 'postgres://[redacted]@db:5432/app'],
  ['a user in a URL', [], 'https://app@db/', 'https://app@db/'],
] as const) {
  test(`elsewhere: ${what}`, () => {
    assert.equal(textOf([...values.map((value) => secret({ token: value })), configMap(text)]), want)
  })
}

test('values of Secrets that are not in the report are not quoted by it', () => {
  assert.equal(textOf([configMap('alices-password')], [secret({ password: 'alices-password' })]), '[redacted]')
})

test('names that a report is about stay, although a Secret holds them too', () => {
  assert.equal(textOf([secret({ host: 'stalwart-db-rw' }), configMap('stalwart-db-rw')]), 'stalwart-db-rw')
})

test('a literal environment variable that is called like a secret', () => {
  const env = [
    { name: 'RELAY_PASSWORD', value: 'pw' },
    { name: 'LOG_LEVEL', value: 'info' },
    { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'api', key: 'token' } } },
  ]
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'engine', env }] },
  }
  const [object] = redacted([pod])
  assert.deepEqual(object?.spec, {
    containers: [{ name: 'engine', env: [{ name: 'RELAY_PASSWORD', value: '[redacted]' }, env[1], env[2]] }],
  })
})
