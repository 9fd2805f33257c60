import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Unavailable } from './database.ts'
import { asEngineError } from './errors.ts'

test('a name whose every address refuses is Unavailable, and each address is told', () => {
  const refused = (address: string) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' })
  const error = asEngineError(new AggregateError([refused('::1:5432'), refused('127.0.0.1:5432')]))
  assert.ok(error instanceof Unavailable)
  assert.equal(error.message, 'database: connect ECONNREFUSED ::1:5432, connect ECONNREFUSED 127.0.0.1:5432')
})
