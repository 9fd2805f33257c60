import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerStatus } from '../api/mail-server-status.ts'
import { publicNames } from './desired/certificate-groups.ts'
import { createDomainIndex, takenText } from './domain-index.ts'

interface More {
  namespace?: string
  uid?: string
  created?: string
  deleted?: string
  status?: MailServerStatus
}

function mailServer(name: string, hostname: string, domains: readonly string[], more: More = {}): MailServer {
  const { namespace = 'n', uid = name, created = '2026-01-01T00:00:00Z', deleted, status } = more
  return {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    metadata: {
      ...{ name, namespace, uid, creationTimestamp: created },
      ...(deleted ? { deletionTimestamp: deleted } : {}),
    },
    spec: parseMailServerSpec({ hostname, domains: domains.map((domain) => ({ name: domain })) }),
    ...(status ? { status } : {}),
  }
}

/** Of a server that has them. */
const carriedOut = (hostname: string, domain: string): MailServerStatus => ({
  endpoints: { smtp: `${hostname}:25` },
  dkim: { keys: [{ domain, selector: 'default', algorithm: 'rsa2048', secretName: 's', state: 'Active' }] },
})

function filed(...servers: MailServer[]) {
  const index = createDomainIndex({ exclusive: true })
  for (const object of servers) index.file({ type: 'set', object })
  return index
}

const a = mailServer('a', 'mail.a.example.org', ['a.example.org'])
for (const [what, b, says] of [
  ['another host name and domain', mailServer('b', 'mail.b.example', ['b.example']), []],
  ['a host name below its domain', mailServer('b', 'mx.a.example.org', ['b.example']), []],
  ['a domain below its domain', mailServer('b', 'mail.b.example', ['lists.a.example.org']), []],
  ['a domain above its domain', mailServer('b', 'mail.b.example', ['example.org']), []],
  ['its host name', mailServer('b', 'mail.a.example.org', ['b.example']), ['spec.hostname: mail.a.example.org']],
  [
    'its host name as domain',
    mailServer('b', 'm.b.example', ['mail.a.example.org']),
    ['spec.domains[0].name: mail.a.example.org'],
  ],
  ['its domain as host name', mailServer('b', 'a.example.org', ['b.example']), ['spec.hostname: a.example.org']],
  [
    'its domain',
    mailServer('b', 'm.b.example', ['b.example', 'a.example.org']),
    ['spec.domains[1].name: a.example.org'],
  ],
  [
    'a web name of its domain',
    mailServer('b', 'mta-sts.a.example.org', ['b.example']),
    ['spec.hostname: mta-sts.a.example.org'],
  ],
] as [string, MailServer, string[]][]) {
  test(`beside a server, one with ${what} ${says.length > 0 ? 'has to wait' : 'is no conflict'}`, () => {
    const index = filed(a, b)
    assert.deepEqual(index.taken(a), [])
    assert.deepEqual(
      index.taken(b).map(({ field, name }) => `${field}: ${name}`),
      says,
    )
  })
}

test('a server whose host name is its domain is no conflict with itself', () => {
  const own = mailServer('own', 'own.example', ['own.example', 'mta-sts.own.example'])
  assert.deepEqual(filed(own).taken(own), [])
})

test('every name that a certificate is asked for is claimed', () => {
  const index = filed(a)
  for (const name of publicNames(a.spec)) {
    assert.equal(index.taken(mailServer('b', name, ['b.example']))[0]?.name, name)
  }
})

test('of two that ask, the older has the name; of two of one age, the one with the lesser uid', () => {
  const made = (name: string, uid: string, created: string) =>
    mailServer(name, 'mail.x.example', ['x.example'], { uid, created })
  const [old, first, second] = [
    made('z', 'c', '2026-01-01T00:00:00Z'),
    made('y', 'a', '2026-01-01T00:00:01Z'),
    made('x', 'b', '2026-01-01T00:00:01Z'),
  ] as const
  for (const [holder, other] of [
    [old, first],
    [first, second],
  ] as const) {
    const index = filed(other, holder)
    assert.deepEqual(index.taken(holder), [])
    assert.deepEqual(index.taken(other)[0]?.holder, { namespace: 'n', name: holder.metadata.name })
  }
})

const asksForMore = (more: More = {}) => mailServer('a', 'mail.a.example.org', ['a.example.org', 'b.example'], more)
const younger = (more: More = {}) =>
  mailServer('b', 'mail.b.example', ['b.example'], { created: '2026-02-01T00:00:00Z', ...more })

test('a domain that a younger server has is not taken from it by an older one’s changed spec', () => {
  const has = younger({ status: carriedOut('mail.b.example', 'b.example') })
  const asks = asksForMore({ status: carriedOut('mail.a.example.org', 'a.example.org') })
  const index = filed(has, asks)
  assert.deepEqual(index.taken(has), [])
  assert.deepEqual(
    index.taken(asks).map(({ field }) => field),
    ['spec.domains[1].name'],
  )
})

test('nor is one that is about to be carried out, of which no status tells yet', () => {
  const index = filed(a, younger())
  assert.deepEqual(index.taken(younger()), [])
  index.hold(younger())
  assert.deepEqual(index.file({ type: 'set', object: asksForMore(), previous: a }), [])
  assert.deepEqual(
    index.taken(asksForMore()).map(({ holder }) => holder.name),
    ['b'],
  )
  assert.deepEqual(index.taken(younger()), [])
})

test('of two that have a domain already, as nobody compared them, the older keeps it', () => {
  const status = carriedOut('mail.a.example.org', 'a.example.org')
  const twin = mailServer('twin', 'mail.a.example.org', ['a.example.org'], { created: '2026-02-01T00:00:00Z', status })
  const older = mailServer('old', 'mail.a.example.org', ['a.example.org'], { status })
  const index = filed(twin, older)
  assert.deepEqual(index.taken(older), [])
  assert.equal(index.taken(twin).length, 2)
})

test('where both are let have it, the name is the older one’s, whoever was served first', () => {
  const index = createDomainIndex({ exclusive: false })
  const status = carriedOut('mail.a.example.org', 'a.example.org')
  const younger = mailServer('b', 'mail.b.example', ['a.example.org'], { created: '2026-02-01T00:00:00Z', status })
  index.file({ type: 'set', object: younger })
  assert.deepEqual(index.taken(younger), [])
  assert.deepEqual(
    index
      .file({ type: 'set', object: a })
      .map(({ name }) => name)
      .sort(),
    ['a', 'b'],
  )
  assert.deepEqual(index.taken(a), [])
  assert.deepEqual(
    index.taken(younger).map(({ field, holder }) => [field, holder.name]),
    [['spec.domains[0].name', 'a']],
  )
})

test('who waits is told when a name is free, and nobody while it has the same holder', () => {
  const b = mailServer('b', 'mail.b.example', ['a.example.org'], { created: '2026-02-01T00:00:00Z' })
  const c = mailServer('c', 'mail.c.example', ['a.example.org'], { created: '2026-03-01T00:00:00Z' })
  const index = createDomainIndex({ exclusive: true })
  const file = (object: MailServer, type: 'set' | 'deleted' = 'set') =>
    index.file({ type, object }).map(({ name }) => name)
  assert.deepEqual([file(a), file(c), file(b)], [[], [], []])
  assert.deepEqual(index.file({ type: 'set', object: a, previous: a }), [], 'told again')
  assert.deepEqual(file(a, 'deleted'), ['c', 'b'])
  assert.deepEqual(index.taken(b), [])
  assert.deepEqual(
    index.taken(c).map(({ holder }) => holder.name),
    ['b'],
  )
  assert.deepEqual(file(mailServer('b', 'mail.b.example', ['b.example'])), ['c'], 'not asked for any more')
  assert.deepEqual(index.taken(c), [])
  assert.deepEqual(file(b).sort(), ['b', 'c'], 'asked for again by the older one')
})

const wantsA = mailServer('c', 'mail.c.example', ['a.example.org'], { created: '2026-03-01T00:00:00Z' })

test('a domain is given up when the status no longer has it, not when the spec does not ask for it any more', () => {
  const had = { status: carriedOut('mail.a.example.org', 'a.example.org') }
  const changed = mailServer('a', 'mail.a.example.org', ['new.example'], had)
  const index = filed(mailServer('a', 'mail.a.example.org', ['a.example.org'], had), wantsA)
  assert.deepEqual(index.file({ type: 'set', object: changed }), [])
  index.hold(changed)
  assert.equal(index.taken(wantsA).length, 1)
  const done = { ...changed, status: carriedOut('mail.a.example.org', 'new.example') }
  assert.deepEqual(index.file({ type: 'set', object: done }), [{ namespace: 'n', name: 'c' }])
  assert.deepEqual(index.taken(wantsA), [])
})

test('a server that is being deleted keeps what it has until it is gone, and asks for nothing', () => {
  const deleted = '2026-04-01T00:00:00Z'
  const index = filed(a, wantsA)
  index.hold(a)
  const going = mailServer('a', 'mail.a.example.org', ['a.example.org'], { deleted })
  assert.deepEqual(index.file({ type: 'set', object: going }), [])
  assert.equal(index.taken(wantsA).length, 1)
  assert.deepEqual(index.file({ type: 'deleted', object: going }), [{ namespace: 'n', name: 'c' }])
  assert.deepEqual(index.taken(wantsA), [])

  const asks = filed(a, wantsA)
  assert.deepEqual(asks.file({ type: 'set', object: going }), [{ namespace: 'n', name: 'c' }])
  assert.deepEqual(asks.taken(wantsA), [])
})

test('one of the same name that comes after it has nothing of it', () => {
  const index = filed(a, wantsA)
  index.hold(a)
  // That the first one is gone was missed.
  index.file({ type: 'set', object: mailServer('a', 'mail.new.example', ['new.example'], { uid: 'another' }) })
  assert.deepEqual(index.taken(wantsA), [])
})

test('the holder is named in its own namespace only, and long lists end', () => {
  const holder = { namespace: 'n', name: 'a' }
  const taken = [0, 1, 2, 3, 4, 5, 6].map((index) => ({
    field: `spec.domains[${index}].name`,
    name: `${index}.example`,
    holder,
  }))
  assert.equal(takenText(taken.slice(0, 1), 'n'), 'spec.domains[0].name: 0.example belongs to MailServer a')
  const abroad = takenText(taken, 'other')
  assert.doesNotMatch(abroad, /MailServer a|\bn\//)
  assert.match(abroad, /4\.example belongs to a MailServer of another namespace; and 2 more$/)
})
