import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import type { DkimKey } from './context.ts'
import { dkimFilesSecret } from './secrets.ts'

/** What a Secret may hold, after decoding (core/v1 MaxSecretSize). */
const MAX_SECRET_BYTES = 1024 * 1024
/** As long as an RSA 2048 key. */
const PEM = 'x'.repeat(1704)

const key = (domain: string, selector: string, state: DkimKey['state'], since: string): DkimKey => ({
  domain,
  selector,
  algorithm: 'rsa2048',
  secretName: `${domain}-${selector}`,
  state,
  since,
  privatePem: PEM,
  txt: '',
})

test('keys that sign or are about to are the engine’s files, those that retired last as far as there is room', () => {
  const dkimKeys = Array.from({ length: 200 }, (_, index) => `customer-${index}.example.org`).flatMap((domain) => [
    key(domain, 'r1', 'Retiring', '2026-06-01T00:00:00Z'),
    key(domain, 'r2', 'Retiring', '2026-06-02T00:00:00Z'),
    key(domain, 'now', 'Active', '2026-06-03T00:00:00Z'),
    key(domain, 'next', 'Publishing', '2026-06-04T00:00:00Z'),
  ])
  const { data = {} } = dkimFilesSecret(contextOf({}, { dkimKeys }))
  const bytes = Object.values(data).reduce((sum, text) => sum + Buffer.from(String(text), 'base64').length, 0)
  assert.ok(bytes < MAX_SECRET_BYTES, `${bytes} bytes`)
  const count = (selector: string) => Object.keys(data).filter((name) => name.endsWith(`.${selector}.pem`)).length
  assert.deepEqual([count('now'), count('next')], [200, 200])
  assert.ok(count('r2') > 100)
  assert.equal(count('r1'), 0)
})
