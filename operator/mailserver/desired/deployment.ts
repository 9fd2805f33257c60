/**
 * The engine's Deployment. Its Pod template is a function of the spec and the pinned image alone: a new operator must
 * not restart a single Pod (deployment.test.ts holds a golden copy).
 */

import { createHmac } from 'node:crypto'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { canonicalHash } from '../../kube/apply-if-changed.ts'
import type { KubeObject } from '../../kube/types.ts'
import { FURTHER_CERTIFICATES, needsFurtherCertificates } from './certificate-groups.ts'
import { type DesiredContext, objectOf } from './context.ts'
import { engineStorage } from './engine-config.ts'
import { enginePorts } from './engine-ports.ts'
import {
  adminSecretName,
  configName,
  databaseCredentialsName,
  databaseName,
  FURTHER_TLS,
  furtherTlsFile,
  labelsOf,
  selectorLabels,
  tlsSecretName,
} from './names.ts'

/** Where the engine looks for its files (MAIL_ROOT). */
const ROOT = '/etc/mail'
export const RESTART_HASH = 'mail.openova.io/restart-hash'

/** None until the engine could start: its database URL and its storage endpoint are known. */
export function deployment(context: DesiredContext): KubeObject | undefined {
  const { server, spec, facts } = context
  if (facts.databaseUrl === undefined || engineStorage(context) === undefined) return undefined
  return objectOf(context, 'apps/v1', 'Deployment', server.name, {
    spec: {
      replicas: spec.replicas,
      // A rollout is held by pausing the MailServer; held here, nothing would tell and the others would wait for it.
      paused: false,
      revisionHistoryLimit: 3,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: selectorLabels(server.name) },
      template: {
        metadata: {
          labels: { ...spec.pod.labels, ...labelsOf(server.name) },
          annotations: { ...spec.pod.annotations, [RESTART_HASH]: restartHash(context) },
        },
        spec: podSpec(context),
      },
    },
  })
}

function podSpec(context: DesiredContext): Record<string, unknown> {
  const { server, spec } = context
  const { containers, ...pod } = enginePod(context, ['node', 'server/main.ts'])
  return {
    ...pod,
    // preStop 5 s, then the engine's drain of 25 s, and time to spare.
    terminationGracePeriodSeconds: 60,
    topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: selectorLabels(server.name) },
    })),
    containers: containers.map((container) => ({
      ...container,
      ports: Object.entries(enginePorts(spec)).map(([name, containerPort]) => ({
        name,
        containerPort,
        protocol: 'TCP',
      })),
      // Alive is not ready: a database that is away for minutes must not get the Pods killed.
      startupProbe: { ...probe('/healthz'), periodSeconds: 2, failureThreshold: 150 },
      readinessProbe: { ...probe('/readyz'), periodSeconds: 5, failureThreshold: 2 },
      livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6 },
      // Endpoints are withdrawn while this sleeps, so no connection meets a closed port.
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    })),
  }
}

/** A Pod with everything that a program of the engine's image reads: its environment, configuration and Secrets. */
export function enginePod(
  { server, spec, facts }: DesiredContext,
  command: readonly string[],
): { containers: Record<string, unknown>[] } & Record<string, unknown> {
  return {
    serviceAccountName: server.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      fsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
      // A safe sysctl (allowed by the restricted profile): port 25 without a capability.
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
    },
    ...(spec.imagePullSecrets ? { imagePullSecrets: spec.imagePullSecrets } : {}),
    ...(spec.pod.nodeSelector ? { nodeSelector: spec.pod.nodeSelector } : {}),
    ...(spec.pod.tolerations ? { tolerations: spec.pod.tolerations } : {}),
    ...(spec.pod.priorityClassName ? { priorityClassName: spec.pod.priorityClassName } : {}),
    containers: [
      {
        name: 'engine',
        image: facts.image,
        ...(spec.imagePullPolicy ? { imagePullPolicy: spec.imagePullPolicy } : {}),
        command,
        env: [
          {
            name: 'STALWART_DATABASE_URL',
            valueFrom: { secretKeyRef: { name: databaseCredentialsName(server.name), key: 'url' } },
          },
          { name: 'MAIL_ROOT', value: ROOT },
          { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
          ...(spec.workers === undefined ? [] : [{ name: 'MAIL_WORKERS', value: String(spec.workers) }]),
        ],
        resources: spec.resources ?? {},
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [
          ...volumes(server.name, spec).map(({ name }) => ({ name, mountPath: `${ROOT}/${name}`, readOnly: true })),
          { name: 'tmp', mountPath: '/tmp' },
        ],
      },
    ],
    volumes: [...volumes(server.name, spec), { name: 'tmp', emptyDir: {} }],
  }
}

const probe = (path: string) => ({
  httpGet: { path, port: 'jmap', scheme: 'HTTP' },
  timeoutSeconds: 5,
})

/** Each is mounted below the root directory under its own name. */
function volumes(server: string, spec: MailServerSpec): { name: string; [source: string]: unknown }[] {
  const secret = (secretName: string) => ({ secret: { secretName } })
  const { s3 } = spec.storage
  const { relay } = spec.outbound
  return [
    { name: 'config', configMap: { name: configName(server) } },
    { name: 'tls', ...secret(spec.tls.secretName ?? tlsSecretName(server)) },
    ...(needsFurtherCertificates(spec)
      ? [
          {
            name: FURTHER_TLS,
            // One that is issued later, or not any more, rolls no Pod.
            projected: {
              sources: FURTHER_CERTIFICATES.map((number) => ({
                secret: {
                  name: tlsSecretName(server, number),
                  optional: true,
                  items: (['tls.crt', 'tls.key'] as const).map((key) => ({ key, path: furtherTlsFile(number, key) })),
                },
              })),
            },
          },
        ]
      : []),
    { name: 'dkim', ...secret(`${server}-dkim`) },
    { name: 'admin', ...secret(adminSecretName(server)) },
    ...(spec.database.cnpg
      ? [
          {
            name: 'db-ca',
            // The Secret has the CA's private key too, which is none of the engine's business.
            secret: {
              secretName: `${databaseName(server)}-ca`,
              optional: true,
              items: [{ key: 'ca.crt', path: 'ca.crt' }],
            },
          },
        ]
      : []),
    ...(s3 ? [{ name: 's3', ...secret(s3.credentialsSecretRef.name) }] : []),
    ...(s3?.caSecretRef
      ? [
          {
            name: 's3-ca',
            secret: { secretName: s3.caSecretRef.name, items: [{ key: s3.caSecretRef.key, path: 'ca.crt' }] },
          },
        ]
      : []),
    ...(relay?.credentialsSecretRef ? [{ name: 'relay', ...secret(relay.credentialsSecretRef.name) }] : []),
  ]
}

/** Changes with what a running engine cannot take up: its environment and its storage. Keyed: it tells no password. */
function restartHash(context: DesiredContext): string {
  const { facts } = context
  const stable = canonicalHash({ databaseUrl: facts.databaseUrl, storage: engineStorage(context) })
  return createHmac('sha256', facts.restartSecret).update(stable).digest('hex').slice(0, 16)
}
