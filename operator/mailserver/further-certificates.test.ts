/** A MailServer with more domains than one certificate has names for, where the test plays cert-manager. */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { MailServerResource, SERVER_LABEL } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { issueCertificate, makeAuthority } from '../certificates/authority.ts'
import { generateDkimKey } from '../dkim/keys.ts'
import { findCondition } from '../kube/conditions.ts'
import { ConfigMap, Deployment, Ingress, Secret } from '../kube/resources.ts'
import type { KubeObject } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { newestVersions } from './kinds.ts'
import { isReady, openTestCluster, reasonOf } from './testing/cluster.ts'
import { applyThirdPartyCrds, noThirdPartyCrds } from './testing/third-party-crds.ts'

const skip = noThirdPartyCrds
const { Certificate } = newestVersions()
const cluster = await openTestCluster()
const { client, namespace } = cluster
if (!skip) await applyThirdPartyCrds(client)
const { client: counted } = await cluster.countingClient()
/** Eighty keys need not be eighty different ones. */
const keys = { rsa2048: await generateDkimKey('rsa2048'), ed25519: await generateDkimKey('ed25519') }
/** How far the operator's clock is ahead. */
let later = 0
const operator = prepareOperator(
  { namespaces: [namespace], engineImage: 'engine:1', identity: 'test' },
  {
    client: counted,
    generateDkimKey: async (algorithm) => keys[algorithm],
    now: () => new Date(Date.now() + later),
    verifyDns: async () => [],
  },
)
after(() => operator[Symbol.asyncDispose]())
await operator.lead()

const DAY = 86_400_000
const name = 'many'
const at = (of: string) => ({ namespace, name: of })
const domains = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => ({ name: `d${from + index}.example` }))
const authority = await makeAuthority('issuer', new Date())
const namesOf = ({ spec }: KubeObject) => (spec as { dnsNames: string[] }).dnsNames
const certificate = (of: string) => client.get(Certificate, at(of))

/** What cert-manager does with a Certificate. */
async function issue(of: string): Promise<void> {
  const asked = await cluster.eventually(() => client.find(Certificate, at(of)), `Certificate ${of}`)
  const pair = await issueCertificate(authority, namesOf(asked), new Date(Date.now() + later))
  const data = Object.fromEntries(
    Object.entries({ 'tls.crt': pair.certificate, 'tls.key': pair.privateKey }).map(([key, text]) => [
      key,
      Buffer.from(text).toString('base64'),
    ]),
  )
  const metadata = { ...at(of), labels: { [SERVER_LABEL]: name } }
  await client.apply(Secret, { apiVersion: 'v1', kind: 'Secret', metadata, data }, { fieldManager: 'cert-manager' })
  const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'Certificate is up to date' }
  const status = { conditions: [{ ...ready, lastTransitionTime: '2026-06-01T00:00:00Z' }] }
  await client.mergePatch(Certificate, at(of), { status }, { subresource: 'status' })
}
const until = (is: (found: MailServer) => boolean, what: string) =>
  cluster.until(
    name,
    (found) => {
      operator.controllers[0]?.queue.add(at(name))
      return is(found)
    },
    what,
  )
const says = (reason: string) => until((found) => reasonOf(found, 'CertificateReady') === reason, reason)

test('mail begins with the first certificate, and HTTP of the other domains has its own when it comes', {
  skip,
}, async () => {
  await cluster.mailServer(name, {
    domains: domains(1, 41),
    tls: { issuerRef: { name: 'letsencrypt' } },
    ingress: {},
  })
  await issue('many-tls')
  const waiting = await says('DomainsIssuing')
  const { message = '' } = findCondition(waiting.status?.conditions, 'CertificateReady') ?? {}
  assert.match(message, /^HTTP at mta-sts.d34.example and 20 more names .*; Certificate many-tls-2: waiting/)
  await until(isReady, 'many to be Ready')
  assert.deepEqual(waiting.status?.certificate?.further, [{ secretName: 'many-tls-2' }])

  await issue('many-tls-2')
  const { status } = await says('Issued')
  assert.match(findCondition(status?.conditions, 'CertificateReady')?.message ?? '', /many-tls is .*many-tls-2 is /)
  assert.match(status?.certificate?.further?.[0]?.notAfter ?? '', /^\d{4}-/)
  const { tls } = (await client.get(Ingress, at('many-http'))).spec as { tls: { secretName: string }[] }
  assert.deepEqual(
    tls.map(({ secretName }) => secretName),
    ['many-tls', 'many-tls-2'],
  )
  const config = JSON.parse((await client.get(ConfigMap, at('many-config'))).data?.['config.json'] ?? '')
  assert.deepEqual(config.tls.additional, [{ certFile: 'tls-further/2/tls.crt', keyFile: 'tls-further/2/tls.key' }])
})

test('one more domain, first in the list, has neither the host name’s certificate issued again nor a Pod restarted', {
  skip,
}, async () => {
  const before = { first: await certificate('many-tls'), second: await certificate('many-tls-2') }
  const engines = await client.get(Deployment, at(name))
  const spec = { domains: domains(0, 41) }
  await client.mergePatch(MailServerResource, at(name), { spec })
  const second = await cluster.eventually(async () => {
    const found = await certificate('many-tls-2')
    return found.metadata.generation !== before.second.metadata.generation && found
  }, 'the second to be asked for anew')
  assert.deepEqual(
    namesOf(second).slice(0, 3),
    ['mta-sts', 'autoconfig', 'autodiscover'].map((of) => `${of}.d0.example`),
  )
  await until(isReady, 'many to be Ready')
  assert.equal((await certificate('many-tls')).metadata.generation, before.first.metadata.generation)
  assert.equal((await client.get(Deployment, at(name))).metadata.generation, engines.metadata.generation)
})

test('of all certificates the one is told that ends and is not renewed', { skip }, async () => {
  await issue('many-tls-2')
  const { status } = await says('Issued')
  const ends = Date.parse(status?.certificate?.further?.[0]?.notAfter ?? '')
  later = ends - Date.now() - 10 * DAY
  await issue('many-tls')
  // Until the new one is looked at, both may be told.
  await until((found) => {
    const { reason, message = '' } = findCondition(found.status?.conditions, 'CertificateReady') ?? {}
    return (
      reason === 'ExpiresSoon' && message.includes('in Secret many-tls-2 ends ') && !message.includes('many-tls ends ')
    )
  }, 'the second alone to end soon')
  later = ends - Date.now() + DAY
  await says('Expired')
  await issue('many-tls-2')
  await until((found) => reasonOf(found, 'CertificateReady') === 'Issued' && isReady(found), 'it to be renewed')
})

test('domains that fit into one certificate again leave no other', { skip }, async () => {
  await client.mergePatch(MailServerResource, at(name), { spec: { domains: domains(0, 33) } })
  await cluster.eventually(async () => !(await client.find(Certificate, at('many-tls-2'))), 'the second to go')
  assert.equal(namesOf(await certificate('many-tls')).length, 100)
  const { status } = await until((found) => found.status?.certificate?.further === undefined, 'the status to follow')
  assert.equal(status?.certificate?.secretName, 'many-tls')
})
