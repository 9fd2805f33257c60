/** What is missed of a MailServer's data, and what is not: by its status, its spec and the Cluster that is there. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MailServer, parseMailServerSpec } from '../api/mail-server.ts'
import type { MailServerSpecInput } from '../api/mail-server-spec.ts'
import type { KubeObject } from '../kube/types.ts'
import { askedRecovery } from './desired/recovery.ts'
import { heldMail, lostCluster } from './held-mail.ts'
import { idOf, newestVersions } from './kinds.ts'
import { MINIMAL } from './testing/context.ts'

type Known = NonNullable<MailServer['status']>

const recovery = {
  ...{ destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } },
  serverName: 'stalwart-db',
}
const restoring: Partial<MailServerSpecInput> = { database: { cnpg: { recovery } } }
const again: Partial<MailServerSpecInput> = {
  database: { cnpg: { recovery: { ...recovery, serverName: 'stalwart-db-2' } } },
}
const nameOf = (spec: Partial<MailServerSpecInput>) => askedRecovery(parseMailServerSpec({ ...MINIMAL, ...spec })) ?? ''
const external: Partial<MailServerSpecInput> = { database: { secretRef: { name: 'elsewhere', key: 'url' } } }
const database = (more: Partial<Known['database']> = {}): Known => ({
  database: { kind: 'CloudNativePG', name: 'stalwart-db', clusterUid: 'old', ...more },
})
const cluster = (uid: string, source?: string): KubeObject => ({
  apiVersion: 'postgresql.cnpg.io/v1',
  kind: 'Cluster',
  metadata: { name: 'stalwart-db', uid },
  spec: { bootstrap: source ? { recovery: { source } } : { initdb: {} } },
})

interface Case {
  status?: Known
  spec?: Partial<MailServerSpecInput>
  there?: KubeObject
  accepts?: string
  served?: boolean
}
function lost({ status, spec = {}, there, accepts, served = true }: Case): string | undefined {
  const annotations: Record<string, string> = accepts === undefined ? {} : { 'mail.openova.io/accept-loss': accepts }
  const held = heldMail({ metadata: { name: 'stalwart', annotations }, ...(status ? { status } : {}) })
  const { Cluster } = newestVersions()
  return lostCluster(parseMailServerSpec({ ...MINIMAL, ...spec }), held, {
    key: { namespace: 'communication', name: 'stalwart' },
    served: served ? { Cluster } : {},
    children: new Map(there ? [[idOf(there), there]] : []),
  })
}

const cases: [what: string, given: Case, want: string | undefined][] = [
  ['one that is gone is lost', { status: database() }, 'old'],
  ['one that is there is not', { status: database(), there: cluster('old') }, undefined],
  ['one that never held mail is not', { status: database({ clusterUid: undefined }) }, undefined],
  ['of a new server none is', {}, undefined],
  ['nor of one that was made again over retained data', { there: cluster('any') }, undefined],
  ['another one of its name does not replace it', { status: database(), there: cluster('other') }, 'old'],
  ['unless its loss is accepted', { status: database(), there: cluster('other'), accepts: 'old' }, undefined],
  ['an accepted loss is none', { status: database(), accepts: 'older, old' }, undefined],
  [
    'a loss accepted before does not accept the next',
    { status: database({ clusterUid: 'new' }), accepts: 'old' },
    'new',
  ],
  ['nothing is accepted by an empty annotation', { status: database(), accepts: '' }, 'old'],
  ['it is not missed where a recovery is asked for', { status: database(), spec: restoring }, undefined],
  [
    'nor while it is replaced by the recovery, whatever the spec says by then',
    { status: database(), there: cluster('other', nameOf(restoring)) },
    undefined,
  ],
  [
    'a Cluster that somebody else recovered from somewhere does not replace it',
    { status: database(), there: cluster('other', 'my-own-source') },
    'old',
  ],
  [
    'the recovery that it was made by is not done twice: it would bring back an older past',
    { status: database({ recovery: nameOf(restoring) }), spec: restoring },
    'old',
  ],
  ['another recovery is', { status: database({ recovery: nameOf(restoring) }), spec: again }, undefined],
  [
    'and the same where the loss is accepted',
    { status: database({ recovery: nameOf(restoring) }), spec: restoring, accepts: 'old' },
    undefined,
  ],
  ['where another database is wanted none is missed', { status: database(), spec: external }, undefined],
  [
    'back from another database, what is there or new is taken',
    { status: { database: { kind: 'External', name: 'e' } } },
    undefined,
  ],
  ['without CloudNativePG nobody can tell', { status: database(), served: false }, undefined],
]
for (const [what, given, want] of cases) test(`a Cluster: ${what}`, () => assert.equal(lost(given), want))

test('mail in a bucket is held since a time, and that time accepts its loss', () => {
  const since = '2026-06-01T00:00:00Z'
  const server = (accepts: string) => ({
    metadata: { name: 'stalwart', annotations: { 'mail.openova.io/accept-loss': accepts } },
    status: { storage: { kind: 'S3' as const, since } },
  })
  assert.deepEqual(heldMail(server('')), { bucketSince: since })
  assert.deepEqual(heldMail(server('2026-05-01T00:00:00Z')), { bucketSince: since })
  assert.deepEqual(heldMail(server(`some-uid,${since}`)), {})
})
