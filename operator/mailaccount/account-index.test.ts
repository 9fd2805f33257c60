import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailAccount } from '../api/mail-account.ts'
import { concernedBy, createAccountIndex, isBefore } from './account-index.ts'

function account(name: string, aliases: string[] = [], more: { address?: string; server?: string } = {}): MailAccount {
  return {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name, namespace: 'n', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      serverRef: { name: more.server ?? 'post' },
      address: more.address ?? `${name}@example.org`,
      aliases,
      disabled: false,
    },
  }
}
const names = (accounts: readonly { metadata: { name: string } }[]) => accounts.map(({ metadata }) => metadata.name)

function filed(...accounts: MailAccount[]) {
  const index = createAccountIndex()
  for (const object of accounts) index.file({ type: 'set', object })
  return index
}

test('a server’s accounts, and nobody else’s', () => {
  const index = filed(account('a'), account('b'), account('c', [], { server: 'other' }))
  assert.deepEqual(names(index.of({ namespace: 'n', name: 'post' })), ['a', 'b'])
  index.file({ type: 'deleted', object: account('a') })
  assert.deepEqual(names(index.of({ namespace: 'n', name: 'post' })), ['b'])
  assert.deepEqual(index.of({ namespace: 'other', name: 'post' }), [])
})

test('rivals have the same address on the same server, as their own or as an alias', () => {
  const b = account('b', ['a@example.org'])
  const index = filed(account('a'), b, account('c', ['a@example.org'], { server: 'other' }))
  assert.deepEqual(names(index.rivals(account('a'))), ['b'])
  assert.deepEqual(names(index.rivals(b)), ['a'])
})

test('an alias that was given up is no claim any more, and whoever waits for it is concerned', () => {
  const before = account('b', ['a@example.org'])
  const index = filed(account('a'), before)
  const change = { type: 'set', object: account('b'), previous: before } as const
  index.file(change)
  assert.deepEqual(names(index.rivals(account('a'))), [])
  assert.deepEqual(
    concernedBy(change, index).map(({ name }) => name),
    ['b', 'a'],
  )
})

test('of two with one address the older has it, then the one whose name comes first', () => {
  const [a, b] = [account('a'), account('b')]
  assert.equal(isBefore(a, b), true)
  assert.equal(isBefore(b, a), false)
  a.metadata.creationTimestamp = '2026-02-01T00:00:00Z'
  assert.equal(isBefore(a, b), false)
})
