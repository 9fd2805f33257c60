import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, EnvVar, Pod } from './objects.ts'
import { environmentOf } from './pod-environment.ts'
import { NotYet } from './pod-files.ts'

function environment(env: EnvVar[]): Record<string, string> {
  const container: Container = { name: 'c', env, volumeMounts: [{ name: 'v', mountPath: '/etc/mail/config' }] }
  const metadata = { name: 'engine-1', namespace: 'mail', labels: { app: 'x' } }
  const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] } }
  return environmentOf(pod, container, {
    root: '/state/root',
    ports: { smtp: 4025, 'jmap-tls': 4443 },
    inherited: { PATH: '/bin', SECRET_OF_THE_USER: 'x' },
    workers: 2,
    lookup: {
      secret: (name) =>
        name === 'db'
          ? {
              apiVersion: 'v1',
              kind: 'Secret',
              metadata: { name },
              data: { url: Buffer.from('postgres://x').toString('base64') },
            }
          : undefined,
      configMap: () => undefined,
    },
  })
}

test('ports and address stand for the Pod’s network; of our own environment only the needful is passed on', () => {
  const env = environment([])
  assert.deepEqual(env, {
    PATH: '/bin',
    MAIL_WORKERS: '2',
    MAIL_LISTEN_ADDRESS: '127.0.0.1',
    MAIL_TERMINATION_LOG: '/state/root/dev/termination-log',
    MAIL_PORT_SMTP: '4025',
    MAIL_PORT_JMAP_TLS: '4443',
  })
})

for (const [given, variable, want] of [
  ['a plain value', { value: 'a' }, 'a'],
  ['a path above a mount', { value: '/etc/mail' }, '/state/root/etc/mail'],
  ['a path in a mount', { value: '/etc/mail/config/config.json' }, '/state/root/etc/mail/config/config.json'],
  ['a path elsewhere', { value: '/usr/bin' }, '/usr/bin'],
  ['a path that only begins like a mount', { value: '/etc/mail2' }, '/etc/mail2'],
  ['a URL', { value: 'https://x/etc/mail' }, 'https://x/etc/mail'],
  ['a Secret', { valueFrom: { secretKeyRef: { name: 'db', key: 'url' } } }, 'postgres://x'],
  ['an optional Secret', { valueFrom: { secretKeyRef: { name: 'no', key: 'url', optional: true } } }, undefined],
  ['a field', { valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }, 'engine-1'],
  ['a label', { valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }, 'x'],
] as const) {
  test(`env: ${given}`, () => assert.equal(environment([{ name: 'X', ...variable }]).X, want))
}

test('env: $(NAME) refers to what stands before it', () => {
  const env = environment([
    { name: 'A', value: 'a' },
    { name: 'B', value: '$(A)-$(C)' },
    { name: 'C', value: 'c' },
  ])
  assert.equal(env.B, 'a-$(C)')
})

test('env: MAIL_WORKERS of the spec wins', () => {
  assert.equal(environment([{ name: 'MAIL_WORKERS', value: '7' }]).MAIL_WORKERS, '7')
})

test('env: a missing Secret or key is named', () => {
  const from = (name: string, key: string): EnvVar[] => [{ name: 'X', valueFrom: { secretKeyRef: { name, key } } }]
  assert.throws(() => environment(from('no', 'url')), new NotYet('secret "no" not found'))
  assert.throws(() => environment(from('db', 'nope')), new NotYet("couldn't find key nope in secret db"))
})
