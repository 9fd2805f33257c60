/** TLSA through a Kubernetes API: the key stays over renewals, and a change of it is rolled over. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, test } from 'node:test'
import { MailServerResource } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import { Secret } from '../kube/resources.ts'
import { prepareOperator } from '../run.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster
const { client: counted } = await cluster.countingClient()
/** How far the operator's clock is ahead. */
let later = 0
/** TLSA values that DNS does not show yet. */
const missing = new Set<string>()
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  {
    client: counted,
    ensureBucket: async () => ({ ok: true, message: '' }),
    now: () => new Date(Date.now() + later),
    verifyDns: async ({ records }) =>
      records.map((record) => ({ ...record, state: missing.has(record.value) ? 'Missing' : 'Published' })),
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const DAY = 86_400_000
const tlsa = ({ status }: MailServer) =>
  status?.dns?.records?.filter(({ type }) => type === 'TLSA').map(({ value }) => value) ?? []
const recordOf = (certificate: string) =>
  `3 1 1 ${createHash('sha256')
    .update(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')}`
const certificateIn = async (name: string) =>
  Buffer.from((await client.get(Secret, { namespace, name })).data?.['tls.crt'] ?? '', 'base64').toString()
const until = (name: string, is: (server: MailServer) => boolean, what: string) =>
  cluster.until(
    name,
    (server) => {
      operator.controllers[0]?.queue.add({ namespace, name })
      return is(server)
    },
    what,
  )

test('our own certificate is renewed for the key that the record is of', async () => {
  await cluster.mailServer('own', { dns: { tlsa: { enabled: true } } })
  const server = await until('own', (found) => isReady(found) && tlsa(found).length > 0, 'own to be Ready')
  const first = await certificateIn('own-tls')
  assert.deepEqual(tlsa(server), [recordOf(first)])
  assert.match(server.status?.dns?.zone ?? '', /^_25\._tcp\.mail\.example\.org\. IN TLSA 3 1 1 [0-9a-f]{64}$/m)
  later = 300 * DAY
  const second = await cluster.eventually(async () => {
    operator.controllers[0]?.queue.add({ namespace, name: 'own' })
    const now = await certificateIn('own-tls')
    return now === first ? undefined : now
  }, 'the renewal')
  assert.equal(recordOf(second), recordOf(first))
  later = 0
})

test('a key that is changed in a given Secret is listed beside the old one until DNS shows it', async () => {
  const authority = await makeAuthority('ca', new Date())
  const put = async () => {
    const pair = await issueCertificate(authority, [`mail.${cluster.domainOf('given')}`], new Date())
    const data = { 'tls.crt': pair.certificate, 'tls.key': pair.privateKey }
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'given', namespace },
      data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
    })
    return recordOf(pair.certificate)
  }
  const old = await put()
  await cluster.mailServer('given', { dns: { tlsa: { enabled: true } }, tls: { secretName: 'given' } })
  await until('given', (found) => isReady(found) && tlsa(found).join() === old, 'the first key')
  const next = await put()
  missing.add(next)
  await until('given', (found) => tlsa(found).join() === `${next},${old}`, 'both keys')
  await until('given', (found) => reasonOf(found, 'DNSReady') === 'RecordsMissing', 'the new one to be missed')
  missing.clear()
  const annotations = { 'mail.openova.io/reconcile-at': 'now' }
  await client.mergePatch(MailServerResource, { namespace, name: 'given' }, { metadata: { annotations } })
  await until('given', (found) => tlsa(found).join() === next, 'the new one alone')

  later = 360 * DAY
  await until('given', (found) => reasonOf(found, 'CertificateReady') === 'ExpiresSoon', 'a warning before the end')
  later = 366 * DAY
  await until('given', (found) => reasonOf(found, 'CertificateReady') === 'Expired', 'the end')
  later = 0
})
