import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionError, isKubeError, kubeErrorOf } from './errors.ts'

for (const [code, reason, kind] of [
  [404, 'NotFound', 'NotFound'],
  [409, 'AlreadyExists', 'AlreadyExists'],
  [409, 'Conflict', 'Conflict'],
  [410, 'Expired', 'Gone'],
  [410, 'Gone', 'Gone'],
  [422, 'Invalid', 'Invalid'],
  [403, 'Forbidden', 'Forbidden'],
  [401, 'Unauthorized', 'Unauthorized'],
  [429, 'TooManyRequests', 'TooManyRequests'],
  [500, 'ServerTimeout', 'Timeout'],
  [500, 'InternalError', 'Transient'],
  [503, 'ServiceUnavailable', 'Transient'],
  [415, 'UnsupportedMediaType', 'BadRequest'],
] as const) {
  test(`Status ${code} ${reason} is ${kind}`, () => {
    const error = kubeErrorOf('get secrets a/b', code, { kind: 'Status', code, reason, message: 'why' })
    assert.equal(error.kind, kind)
    assert.equal(error.message, `get secrets a/b: ${code} ${reason}: why`)
  })
}

test('an answer that is no Status is judged by its code', () => {
  assert.equal(kubeErrorOf('get', 404, '404 page not found\n').kind, 'NotFound')
  assert.equal(kubeErrorOf('get', 502, '<html>').kind, 'Transient')
  assert.equal(kubeErrorOf('get', 418, '').kind, 'BadRequest')
})

test('retryAfterSeconds of the Status is told in milliseconds, the header wins', () => {
  const body = { kind: 'Status', code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 3 } }
  assert.equal(kubeErrorOf('get', 429, body).retryAfterMs, 3000)
  assert.equal(kubeErrorOf('get', 429, body, { retryAfterMs: 500 }).retryAfterMs, 500)
})

test('a refused Secret is told by field, without the values that the server quotes', () => {
  const body = {
    kind: 'Status',
    code: 422,
    reason: 'Invalid',
    message: 'Secret "s" is invalid: data[password]: Invalid value: "hunter2"',
    details: {
      causes: [{ reason: 'FieldValueInvalid', message: 'Invalid value: "hunter2"', field: 'data[password]' }],
    },
  }
  const error = kubeErrorOf('apply secrets a/s', 422, body, { secret: true })
  assert.equal(error.message, 'apply secrets a/s: 422 Invalid: data[password]: FieldValueInvalid')
  assert.ok(!JSON.stringify([error.message, error.causes]).includes('hunter2'))
})

test('endless server text is cut', () => {
  assert.ok(kubeErrorOf('get', 500, 'x'.repeat(100_000)).message.length < 2_100)
})

test('isKubeError narrows by kind', () => {
  const error = connectionError('get', new Error('connect ECONNREFUSED'))
  assert.equal(error.message, 'get: connect ECONNREFUSED')
  assert.ok(isKubeError(error) && isKubeError(error, 'Transient', 'Timeout') && !isKubeError(error, 'Gone'))
  assert.ok(!isKubeError(new Error('x')))
})
