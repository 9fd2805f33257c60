/** For tests: a MailServer whose every fact is known. */

import { parseMailServerSpec } from '../../api/mail-server.ts'
import type { MailServerSpecInput } from '../../api/mail-server-spec.ts'
import { certificateGroups } from '../desired/certificate-groups.ts'
import type { DesiredContext, Facts } from '../desired/context.ts'
import { dkimSecretName } from '../desired/names.ts'
import { newestVersions } from '../kinds.ts'

export const MINIMAL: MailServerSpecInput = { hostname: 'mail.example.org', domains: [{ name: 'example.org' }] }

export function contextOf(spec: Partial<MailServerSpecInput> = {}, facts: Partial<Facts> = {}): DesiredContext {
  const key = (selector: string, algorithm: 'rsa2048' | 'ed25519') => ({
    domain: 'example.org',
    selector,
    algorithm,
    secretName: dkimSecretName('stalwart', 'example.org', selector),
    state: 'Active' as const,
    since: '2026-01-01T00:00:00Z',
    privatePem: `-----${selector}-----`,
    txt: `v=DKIM1; k=${algorithm}; p=AAAA`,
  })
  const parsed = parseMailServerSpec({ ...MINIMAL, ...spec })
  return {
    server: { namespace: 'communication', name: 'stalwart', uid: '00000000-0000-0000-0000-000000000001' },
    spec: parsed,
    facts: {
      image: 'registry.example/mail:1.2.3',
      addresses: ['203.0.113.7'],
      dkimKeys: [key('default', 'rsa2048'), key('ed25519', 'ed25519')],
      certificates: certificateGroups('stalwart', parsed, new Map()),
      databaseUrl: 'postgresql://app:secret@stalwart-db-rw.communication:5432/app',
      s3Endpoint: 'https://minio.example',
      restartSecret: 'token',
      served: newestVersions(),
      ...facts,
    },
  }
}

/** A spec that uses every field that shows in an object. */
export const EVERYTHING: Partial<MailServerSpecInput> = {
  replicas: 3,
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [{ name: 'registry' }],
  resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '1Gi' } },
  workers: 2,
  pod: {
    labels: { team: 'mail' },
    annotations: { 'example.org/note': 'x' },
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'mail', operator: 'Exists', effect: 'NoSchedule' }],
    priorityClassName: 'high',
  },
  database: {
    cnpg: {
      instances: 3,
      storage: { size: '50Gi', storageClass: 'fast' },
      walStorage: { size: '10Gi' },
      imageName: 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie',
      parameters: { shared_buffers: '512MB' },
      resources: { requests: { cpu: 1, memory: '2Gi' } },
      synchronousReplicas: 1,
      dataDurability: 'preferred',
      primaryUpdateMethod: 'switchover',
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'database', operator: 'Exists', effect: 'NoSchedule' }],
      priorityClassName: 'data',
      pooler: {
        instances: 3,
        parameters: { max_client_conn: '2000' },
        resources: { requests: { cpu: '100m', memory: '64Mi' } },
      },
      backup: {
        destinationPath: 's3://backups/stalwart/',
        endpoint: 'https://s3.example',
        credentialsSecretRef: { name: 's3' },
        serverName: 'stalwart-2',
      },
      recovery: {
        destinationPath: 's3://backups/stalwart/',
        credentialsSecretRef: { name: 's3' },
        serverName: 'stalwart-db',
        targetTime: '2026-06-01T08:00:00Z',
      },
      antiAffinity: { type: 'required', topologyKey: 'topology.kubernetes.io/zone' },
    },
  },
  storage: {
    s3: {
      endpoint: 'https://s3.example',
      bucket: 'mail-bytes',
      prefix: 'stalwart/',
      credentialsSecretRef: { name: 's3' },
      caSecretRef: { name: 's3-ca' },
    },
  },
  tls: { issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer' } },
  dns: {
    publish: 'ExternalDNS',
    resolvers: ['192.0.2.53'],
    ttlSeconds: 300,
    caa: { issuers: ['letsencrypt.org'] },
    tlsa: { enabled: true },
  },
  spam: {
    rules: ['body X /x/\nscore X 1'],
    dnsbl: [{ zone: 'zen.dnsbl.example' }],
    greylisting: { enabled: true, delay: '2m' },
    rateLimit: { messagesPerAddressPerMinute: 60 },
  },
  outbound: {
    relay: { host: 'smtp.relay.example', credentialsSecretRef: { name: 'relay' } },
    retryDelays: ['1m', '10m'],
    expire: '48h',
  },
  service: {
    annotations: { 'metallb.io/address-pool': 'mail' },
    loadBalancerClass: 'example.org/lb',
    loadBalancerSourceRanges: ['198.51.100.0/24'],
    allocateLoadBalancerNodePorts: false,
    ipFamilyPolicy: 'PreferDualStack',
    proxyProtocol: { trustedNetworks: ['192.0.2.0/24'] },
  },
  ingress: { className: 'nginx', annotations: { 'example.org/a': 'b' } },
  gateway: { name: 'public', namespace: 'gateways', httpSection: 'https', mail: true },
  autoscaling: { maxReplicas: 6 },
  monitoring: { podMonitor: { enabled: true, labels: { release: 'prometheus' } }, prometheusRule: { enabled: true } },
  limits: { messageBytes: 10_485_760, databaseConnections: 20 },
  logLevel: 'debug',
}
