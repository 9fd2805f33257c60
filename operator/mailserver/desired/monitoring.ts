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
  const ofDatabase = `namespace="${server.namespace}",pod=~"${databaseName(server.name)}-[0-9]+"`
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
  const deferred = `sum(increase(stalwart_messages_received_total{${of},listener="mx",action="defer"}[30m]))`
  const { backup } = spec.database.cnpg ?? {}
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
      'MailConfigFieldsIgnored',
      `max(mail_config_ignored_fields{${of}}) > 0`,
      '30m',
      'warning',
      `Engines of MailServer ${server.name} do not know {{ $value }} fields of their configuration`,
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
    // Greylisting and rate limits are before the message: here it is the bucket, the database, or a bug of ours.
    alert(
      'MailMessagesDeferred',
      `${deferred} > 10 and ${deferred} > 0.1 * sum(increase(stalwart_messages_received_total{${of},listener="mx"}[30m]))`,
      '5m',
      'critical',
      `MailServer ${server.name} takes no mail now: {{ $value | printf "%.0f" }} messages in half an hour were answered 4xx`,
    ),
    // The Barman Cloud plugin's own metric, on the Pods of Postgres: 0 before the first backup.
    ...(backup && atLeastDaily(backup.schedule)
      ? [
          alert(
            'MailBackupOld',
            `time() - max(barman_cloud_cloudnative_pg_io_last_available_backup_timestamp{${ofDatabase}}) > 36 * 3600`,
            '1h',
            'warning',
            `The database of MailServer ${server.name} has not been backed up for 36 hours`,
          ),
        ]
      : []),
    alert(
      'MailLoginFailures',
      `${['mail_smtp_auth_failures_total', 'mail_imap_auth_failures_total', 'mail_jmap_login_failures_total'].map(failures).join(' + ')} > 5`,
      '15m',
      'warning',
      `Somebody tries passwords at MailServer ${server.name}`,
    ),
    alert(
      'MailSpamRulesLeftOut',
      `max(mail_spam_rule_mistakes{${of}}) > 0`,
      '15m',
      'warning',
      `Engines of MailServer ${server.name} leave out {{ $value }} lines of its spam rules`,
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

/** A schedule that names no days, or says so by name. Of others it cannot be told when a backup is late. */
const atLeastDaily = (schedule: string) =>
  ['@hourly', '@daily', '@midnight'].includes(schedule) || / \* \* [*?]$/.test(schedule)
