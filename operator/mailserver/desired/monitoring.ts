/** What the Prometheus operator is told: where metrics are, and what is worth waking somebody for. */

import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, optionalObject } from './context.ts'
import { databaseName, selectorLabels } from './names.ts'

const RUNBOOKS = 'https://github.com/openova-io/mail-operator/blob/main/docs/alerts.md'

export function podMonitors(context: DesiredContext): KubeObject[] {
  const { server, spec } = context
  const { enabled, interval, labels } = spec.monitoring.podMonitor
  if (!enabled) return []
  const monitor = (name: string, matchLabels: Record<string, string>, endpoint: Record<string, string>) =>
    optionalObject(
      context,
      'PodMonitor',
      name,
      { spec: { selector: { matchLabels }, podMetricsEndpoints: [{ ...endpoint, interval }] } },
      { labels },
    )
  const database = databaseName(server.name)
  return [
    monitor(server.name, selectorLabels(server.name), { port: 'jmap', path: '/metrics' }),
    ...(spec.database.cnpg ? [monitor(database, { 'cnpg.io/cluster': database }, { port: 'metrics' })] : []),
  ].filter((object) => object !== undefined)
}

export function prometheusRule(context: DesiredContext): KubeObject | undefined {
  const { server, spec } = context
  const { enabled, labels } = spec.monitoring.prometheusRule
  if (!enabled) return undefined
  return optionalObject(
    context,
    'PrometheusRule',
    server.name,
    { spec: { groups: [{ name: `mail-${server.name}`, rules: alerts(context) }] } },
    { labels },
  )
}

function alerts({ server, spec }: DesiredContext): Record<string, unknown>[] {
  // Pods of one server, whatever else is scraped: the Prometheus operator labels by namespace and Pod.
  const of = `namespace="${server.namespace}",pod=~"${server.name}-.*"`
  const alert = (name: string, expr: string, wait: string, severity: 'warning' | 'critical', summary: string) => ({
    alert: name,
    expr,
    for: wait,
    labels: { severity, mail_server: server.name },
    annotations: { summary, runbook_url: `${RUNBOOKS}#${name.toLowerCase()}` },
  })
  const soon = (days: number) =>
    `min(mail_tls_certificate_expiration_timestamp_seconds{${of}}) - time() < ${days} * 86400`
  return [
    alert(
      'MailQueueGrows',
      `max(stalwart_queue_size{${of}}) > 500 and delta(stalwart_queue_size{${of}}[30m]) > 0`,
      '30m',
      'warning',
      'Outgoing mail of {{ $labels.pod }} piles up',
    ),
    alert(
      'MailEngineDown',
      `sum(up{${of}}) < 1 or absent(up{${of}})`,
      '5m',
      'critical',
      `No engine of MailServer ${server.name} answers`,
    ),
    alert(
      'MailEngineDegraded',
      `sum(up{${of}}) < ${spec.replicas}`,
      '15m',
      'warning',
      `MailServer ${server.name} has fewer engines than wanted`,
    ),
    alert(
      'MailCertificateExpires',
      soon(14),
      '1h',
      'warning',
      `The certificate of MailServer ${server.name} ends within 14 days`,
    ),
    alert(
      'MailCertificateExpiresSoon',
      soon(3),
      '1h',
      'critical',
      `The certificate of MailServer ${server.name} ends within 3 days`,
    ),
    alert(
      'MailConfigInvalid',
      `min(mail_config_valid{${of}}) == 0`,
      '10m',
      'warning',
      '{{ $labels.pod }} runs on an older configuration',
    ),
    alert(
      'MailDkimKeysMissing',
      `max(mail_dkim_keys_missing{${of}}) > 0`,
      '10m',
      'critical',
      'Mail leaves without a DKIM signature',
    ),
    alert(
      'MailDatabaseFails',
      `sum(rate(mail_database_connection_failures_total{${of}}[5m])) > 0`,
      '10m',
      'critical',
      `The database of MailServer ${server.name} cannot be reached`,
    ),
    alert(
      'MailLoginFailures',
      `sum(rate(mail_smtp_auth_failures_total{${of}}[10m])) + sum(rate(mail_imap_auth_failures_total{${of}}[10m])) > 5`,
      '15m',
      'warning',
      'Somebody tries passwords',
    ),
    alert(
      'MailWorkersRestart',
      `sum(increase(mail_worker_restarts_total{${of}}[30m])) > 3`,
      '5m',
      'warning',
      'Engine processes of MailServer keep ending',
    ),
  ]
}
