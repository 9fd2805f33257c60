/** The protobuf bodies of `kubectl create`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeProtobuf } from './protobuf.ts'

const field = (number: number, content: Buffer | string) => {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}
const envelope = (apiVersion: string, kind: string, raw: Buffer) =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    field(1, Buffer.concat([field(1, apiVersion), field(2, kind)])),
    field(2, raw),
    field(3, ''),
    field(4, ''),
  ])
const name = (text: string) => field(1, Buffer.concat([field(1, text), field(2, ''), field(8, '')]))
const entry = (key: string, value: string) => Buffer.concat([field(1, key), field(2, value)])

test('a ConfigMap with its data', () => {
  const raw = Buffer.concat([name('c'), field(2, entry('a', 'b')), field(2, entry('c', 'd'))])
  assert.deepEqual(decodeProtobuf(envelope('v1', 'ConfigMap', raw)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c' },
    data: { a: 'b', c: 'd' },
  })
})

test('a Secret with bytes', () => {
  const raw = Buffer.concat([name('s'), field(2, entry('a', 'b')), field(3, 'Opaque')])
  assert.deepEqual(decodeProtobuf(envelope('v1', 'Secret', raw)), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    data: { a: 'Yg==' },
    type: 'Opaque',
  })
})

test('replicas of zero are zero', () => {
  const raw = Buffer.concat([name('d'), field(2, Buffer.from([1 << 3, 0]))])
  assert.deepEqual(decodeProtobuf(envelope('apps/v1', 'Deployment', raw)).spec, { replicas: 0 })
})

for (const [what, body, code] of [
  ['a kind without a table', envelope('v1', 'Node', Buffer.alloc(0)), 415],
  ['a field without a name', envelope('v1', 'ConfigMap', field(15, 'x')), 415],
  ['a body without the prefix', Buffer.from('{}'), 400],
  ['a length beyond the end', Buffer.from('k8s\0\x0a\x7f'), 400],
  ['a cut number', Buffer.from('k8s\0\x80'), 400],
] as const) {
  test(`${what} is ${code}`, () => assert.throws(() => decodeProtobuf(body), { code }))
}
