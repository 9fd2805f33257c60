import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mailServerSpec } from '../api/mail-server-spec.ts'
import type { KubeObject } from '../kube/types.ts'
import { databaseUrl } from './database-url.ts'
import type { Observed } from './observe.ts'

const spec = mailServerSpec.parse({ hostname: 'mail.example.org', domains: [{ name: 'example.org' }] })
const VERIFIED = '?sslmode=verify-full&sslrootcert=/etc/mail/db-ca/ca.crt'
const URI = 'postgresql://app:old@db-rw.x:5432/app'

function urlOf(text: Record<string, string>, facts: { ca?: boolean; children?: KubeObject[] } = {}) {
  const { ca = true, children = [] } = facts
  const observed: Observed = {
    key: { namespace: 'communication', name: 'stalwart' },
    children: new Map(children.map((object) => [`${object.kind}/${object.metadata.name}`, object])),
    served: {},
    held: {},
    secrets: {
      database: { name: 'stalwart-db-app', found: true, text },
      databaseCa: ca
        ? { name: 'stalwart-db-ca', found: true, text: { 'ca.crt': 'PEM' } }
        : { name: 'stalwart-db-ca', found: false },
    },
    addresses: [],
    webAddresses: [],
    certificates: [{ number: 1, names: ['mail.example.org'] }],
  }
  return databaseUrl(spec, observed)
}

for (const [given, uri, password, want] of [
  ['the same as in the URI', URI, 'old', URI],
  ['the same, encoded', 'postgresql://app:a%40b@db-rw.x:5432/app', 'a@b', 'postgresql://app:a%40b@db-rw.x:5432/app'],
  ['changed alone', URI, 'new/p@ss%', 'postgresql://app:new%2Fp%40ss%25@db-rw.x:5432/app'],
] as const) {
  test(`the URL has the password of CloudNativePG’s Secret: ${given}`, () =>
    assert.equal(urlOf({ uri, password }), `${want}${VERIFIED}`))
}

const object = (kind: string, name: string, more: Partial<KubeObject>): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name },
  ...more,
})
const used = (url: string) =>
  object('Secret', 'stalwart-db-credentials', { data: { url: Buffer.from(url).toString('base64') } })
const real = object('Cluster', 'stalwart-db', { status: { certificates: { serverCASecret: 'stalwart-db-ca' } } })

for (const [what, children, want] of [
  ['an engine that verifies goes on as it is', [used(`${URI}${VERIFIED}`), real], `${URI}${VERIFIED}`],
  ['the first engine of a real Cluster waits', [real], undefined],
  ['a Cluster without any authority is used as it is', [], URI],
] as const) {
  test(`without the CA, ${what}`, () => assert.equal(urlOf({ uri: URI }, { ca: false, children: [...children] }), want))
}
