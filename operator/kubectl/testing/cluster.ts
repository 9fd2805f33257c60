/** For tests: a cluster with MailServers and what belongs to them. */

import { ACCOUNT_LABEL, MailAccountResource, MailServerResource } from '../../api/group.ts'
import type { MailServerStatus } from '../../api/mail-server-status.ts'
import { ConfigMap, Event, Secret } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'
import { labelsOf } from '../../mailserver/desired/names.ts'

export const NOW = new Date('2026-06-11T12:00:00Z')

const condition = (type: string, status: 'True' | 'False', reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 1,
  lastTransitionTime: '2026-06-11T09:00:00Z',
})
/** In Secrets, and leaked into a ConfigMap. */
export const PASSWORD = 'correct horse battery staple'
export const LONG_RECORD = `v=DKIM1; k=rsa; p=${'A'.repeat(392)}`
/** Of MailServer stalwart: its database is being made. */
export const STATUS = {
  observedGeneration: 1,
  conditions: [
    condition('Ready', 'False', 'Provisioning', 'DatabaseReady: Cluster stalwart-db: Setting up primary'),
    condition('Reconciling', 'True', 'Progressing', 'Waiting for DatabaseReady'),
    condition('DatabaseReady', 'False', 'Provisioning', 'Cluster stalwart-db: Setting up primary'),
  ],
  replicas: 2,
  readyReplicas: 1,
  image: 'registry.example/mail:1.2',
  version: '1.2',
  addresses: ['192.0.2.1'],
  database: { kind: 'CloudNativePG', name: 'stalwart-db', instances: 3, readyInstances: 2, primary: 'stalwart-db-1' },
  storage: { kind: 'S3', bucket: 'mail' },
  certificate: { secretName: 'stalwart-tls', notAfter: '2026-07-01T12:00:00Z' },
  dkim: {
    keys: [
      {
        domain: 'example.org',
        selector: 'default',
        algorithm: 'rsa2048',
        secretName: 'stalwart-dkim-example.org-default',
        state: 'Active',
        since: '2026-06-01T12:00:00Z',
      },
    ],
  },
  dns: {
    summary: '1/2',
    records: [
      { type: 'MX', name: 'example.org', value: '10 mail.example.org.', domain: 'example.org', state: 'Published' },
      {
        type: 'TXT',
        name: 'default._domainkey.example.org',
        value: LONG_RECORD,
        domain: 'example.org',
        state: 'Missing',
      },
    ],
  },
} satisfies MailServerStatus

/** Servers default/stalwart and kube-public/other, an account, and objects with secrets in wrong places. */
export async function fillCluster(client: KubeClient): Promise<void> {
  const server = (name: string, namespace: string): KubeObject => ({
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    metadata: { name, namespace },
    spec: { hostname: `mail.${name}.example`, domains: [{ name: 'example.org' }] },
  })
  const { uid } = (await client.create(MailServerResource, server('stalwart', 'default'))).metadata
  await client.create(MailServerResource, server('other', 'kube-public'))
  await client.mergePatch(
    MailServerResource,
    { namespace: 'default', name: 'stalwart' },
    { status: STATUS },
    { subresource: 'status' },
  )
  await client.create(MailAccountResource, {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailAccount',
    metadata: { name: 'alice', namespace: 'default' },
    spec: { serverRef: { name: 'stalwart' }, address: 'alice@example.org' },
  })
  const data = (value: string) => Buffer.from(value).toString('base64')
  const secret = (name: string, labels: Record<string, string>, values: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: 'default',
      labels,
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(values) },
    },
    data: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, data(value)])),
  })
  const url = `postgres://app:${encodeURIComponent(PASSWORD)}@stalwart-db-rw:5432/app`
  await client.create(Secret, secret('stalwart-db-credentials', labelsOf('stalwart'), { url }))
  await client.create(Secret, secret('stalwart-admin', labelsOf('stalwart'), { token: PASSWORD }))
  await client.create(
    Secret,
    secret('alice-password', { [ACCOUNT_LABEL]: 'alice' }, { password: 'alices-own-password' }),
  )
  await client.create(Secret, secret('foreign', {}, { password: 'of-somebody-else' }))
  await client.create(ConfigMap, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'stalwart-config', namespace: 'default', labels: labelsOf('stalwart') },
    data: { 'config.json': `{"leaked": "${PASSWORD}", "relay": "smtp://user:hunter22@relay.example"}` },
  })
  const event = (name: string, regarding: object, note: string): KubeObject => ({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: 'default' },
    eventTime: '2026-06-11T09:00:00.000000Z',
    reportingController: 'mail.openova.io/operator',
    reportingInstance: 'test',
    action: 'Reconcile',
    reason: 'Provisioning',
    type: 'Normal',
    regarding,
    note,
  })
  const about = {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    name: 'stalwart',
    namespace: 'default',
    uid,
  }
  await client.create(Event, event('e1', about, 'the password is alices-own-password'))
  await client.create(Event, event('e2', { kind: 'Pod', name: 'of-somebody-else', namespace: 'default' }, 'unrelated'))
}
