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
  // Engines of one server, whatever else is scraped: the Prometheus operator labels by namespace and Pod. Neither its
  // database's Pods (stalwart-db-1) nor those of a MailServer stalwart-two match; long names lose the second hyphen.
  const of = `namespace="${server.namespace}",pod=~"${server.name}-[a-z0-9]+(-[a-z0-9]{5})?"`
  const alert = (name: string, expr: string, wait: string, severity: 'warning' | 'critical', summary: string) => ({
    alert: name,
    expr,
    for: wait,
    labels: { severity, mail_server: server.name },
    annotations: { summary, runbook_url: `${RUNBOOKS}#${name.toLowerCase()}` },
  })
  // Every replica counts the same rows.
  const queued = (at = '') => `sum(max by (state) (stalwart_queue_size{${of}}${at}))`
  const failures = (metric: string) => `(sum(rate(${metric}{${of}}[10m])) or vector(0))` // absent until the first one
  const soon = (days: number) =>
    `min(mail_tls_certificate_expiration_timestamp_seconds{${of}}) - time() < ${days} * 86400`
  return [
    alert(
      'MailQueueGrows',
      `${queued()} > 500 and ${queued()} > ${queued(' offset 30m')}`,
      '30m',
      'warning',
      `Outgoing mail of MailServer ${server.name} piles up: {{ $value }} recipients wait`,
    ),
    // A server that is scaled to zero has no engine on purpose.
    ...(spec.replicas === 0
      ? []
      : [
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
        ]),
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
      `min by (pod) (mail_config_valid{${of}}) == 0`,
      '10m',
      'warning',
      '{{ $labels.pod }} runs on an older configuration',
    ),
    alert(
      'MailDkimKeysMissing',
      `max(mail_dkim_keys_missing{${of}}) > 0`,
      '10m',
      'critical',
      `Mail of MailServer ${server.name} leaves without a DKIM signature`,
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
      `${['mail_smtp_auth_failures_total', 'mail_imap_auth_failures_total', 'mail_jmap_login_failures_total'].map(failures).join(' + ')} > 5`,
      '15m',
      'warning',
      `Somebody tries passwords at MailServer ${server.name}`,
    ),
    alert(
      'MailWorkersRestart',
      `sum(increase(mail_worker_restarts_total{${of}}[30m])) > 3`,
      '5m',
      'warning',
      `Engine processes of MailServer ${server.name} keep ending`,
    ),
  ]
}
