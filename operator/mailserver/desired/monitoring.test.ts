import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AlertCase, type AlertingRule, assertAlerts, promtoolMissing } from '../../../test/promtool.ts'
import { contextOf } from '../testing/context.ts'
import { prometheusRule } from './monitoring.ts'

function alertsOf(spec: Parameters<typeof contextOf>[0] = {}): AlertingRule[] {
  const rule = prometheusRule(contextOf({ ...spec, monitoring: { prometheusRule: { enabled: true } } }))
  assert.ok(rule)
  return (rule.spec as { groups: { rules: AlertingRule[] }[] }).groups.flatMap(({ rules }) => rules)
}

test('a summary names only labels that its expression keeps', () => {
  for (const { alert, expr, annotations } of alertsOf())
    for (const [, label = ''] of (annotations.summary ?? '').matchAll(/\$labels\.(\w+)/g))
      assert.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), alert)
})

test('a MailServer that is scaled to zero is not down', () => {
  const names = alertsOf({ replicas: 0 }).map(({ alert }) => alert)
  assert.equal(names.includes('MailEngineDown') || names.includes('MailEngineDegraded'), false)
  assert.ok(names.includes('MailQueueGrows'))
})

const backup = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } }
for (const [schedule, want] of [
  [undefined, true],
  ['0 30 */6 * * *', true],
  ['@daily', true],
  ['0 0 2 * * 0', false],
  ['@weekly', false],
  ['@every', false],
] as const) {
  test(`backups by ${schedule ?? 'the default schedule'} are ${want ? '' : 'not '}missed after 36 hours`, () => {
    const given = { ...backup, ...(schedule ? { schedule } : {}) }
    const names = alertsOf({ database: { cnpg: { backup: given } } }).map(({ alert }) => alert)
    assert.equal(names.includes('MailBackupOld'), want)
  })
}

test('without backups none is missed', () =>
  assert.equal(
    alertsOf().some(({ alert }) => alert === 'MailBackupOld'),
    false,
  ))

/** One series: what Prometheus has of an engine's Pod, in promtool's notation for values a minute apart. */
const series = (metric: string, values: string, { pod = 'stalwart-7c9d8f5b6-x2x4z', labels = '' } = {}) => ({
  series: `${metric}{namespace="communication",pod="${pod}"${labels}}`,
  values,
})
const received = (action: string, values: string, listener = 'mx') =>
  series('stalwart_messages_received_total', values, { labels: `,listener="${listener}",action="${action}"` })
const EXPIRES = 'mail_tls_certificate_expiration_timestamp_seconds'
const BACKUP = 'barman_cloud_cloudnative_pg_io_last_available_backup_timestamp'
const DATABASE = { pod: 'stalwart-db-1' }
const OTHER = { pod: 'stalwart-7c9d8f5b6-abcde' }
const WELL = [series('up', '1x200'), series('up', '1x200', OTHER), series(EXPIRES, '9999999999x200')]

/** What fires after two hours. */
const CASES: [string, ReturnType<typeof series>[], string[]][] = [
  ['all is well', WELL, []],
  [
    'the queue grows, seen by two replicas',
    [
      ...WELL,
      series('stalwart_queue_size', '300+5x200', { labels: ',state="waiting"' }),
      series('stalwart_queue_size', '300+5x200', { ...OTHER, labels: ',state="waiting"' }),
      series('stalwart_queue_size', '10x200', { labels: ',state="due"' }),
    ],
    ['MailQueueGrows: Outgoing mail of MailServer stalwart piles up: 910 recipients wait'],
  ],
  ['a long queue that shrinks', [...WELL, series('stalwart_queue_size', '9000-5x200')], []],
  [
    'only the database and another MailServer answer',
    [
      series('up', '0x200'),
      series('up', '1x200', { pod: 'stalwart-db-1' }),
      series('up', '1x200', { pod: 'stalwart-two-7c9d8f5b6-x2x4z' }),
    ],
    [
      'MailEngineDown: No engine of MailServer stalwart answers',
      'MailEngineDegraded: MailServer stalwart has fewer engines than wanted',
    ],
  ],
  ['nothing is scraped', [], ['MailEngineDown: No engine of MailServer stalwart answers']],
  [
    'one of two engines answers',
    [series('up', '1x200'), series('up', '0x200', OTHER)],
    ['MailEngineDegraded: MailServer stalwart has fewer engines than wanted'],
  ],
  [
    'there is no certificate',
    [...WELL, series(EXPIRES, '0x200', OTHER)],
    [
      'MailCertificateExpires: The certificate of MailServer stalwart ends within 14 days',
      'MailCertificateExpiresSoon: The certificate of MailServer stalwart ends within 3 days',
    ],
  ],
  [
    'a Pod has refused its configuration',
    [...WELL, series('mail_config_valid', '1x200'), series('mail_config_valid', '0x200', OTHER)],
    ['MailConfigInvalid: stalwart-7c9d8f5b6-abcde runs on an older configuration'],
  ],
  [
    'a Pod of an older release does not know a field',
    [...WELL, series('mail_config_ignored_fields', '0x200'), series('mail_config_ignored_fields', '1x200', OTHER)],
    ['MailConfigFieldsIgnored: Engines of MailServer stalwart do not know 1 fields of their configuration'],
  ],
  [
    'the bucket is away',
    [...WELL, received('accept', '0+10x200'), received('defer', '0+2x200')],
    ['MailMessagesDeferred: MailServer stalwart takes no mail now: 60 messages in half an hour were answered 4xx'],
  ],
  ['one in a hundred is deferred', [...WELL, received('accept', '0+100x200'), received('defer', '0+1x200')], []],
  ['few are deferred on a quiet server', [...WELL, received('accept', '5x200'), received('defer', '0+0.2x200')], []],
  ['an account is at its limit', [...WELL, received('defer', '0+2x200', 'submission')], []],
  [
    'a key is missing',
    [...WELL, series('mail_dkim_keys_missing', '0x200'), series('mail_dkim_keys_missing', '1x200', OTHER)],
    ['MailDkimKeysMissing: Mail of MailServer stalwart leaves without a DKIM signature'],
  ],
  [
    'the database refuses',
    [...WELL, series('mail_database_connection_failures_total', '0+3x200')],
    ['MailDatabaseFails: The database of MailServer stalwart cannot be reached'],
  ],
  [
    'passwords are tried by IMAP alone',
    [...WELL, series('mail_imap_auth_failures_total', '0+600x200')],
    ['MailLoginFailures: Somebody tries passwords at MailServer stalwart'],
  ],
  ['a backup of last night', [...WELL, series(BACKUP, '-70000x200', DATABASE)], []],
  [
    'backups of before yesterday, and a newer one of another server',
    [
      ...WELL,
      series(BACKUP, '-140000x200', DATABASE),
      series(BACKUP, '-150000x200', { pod: 'stalwart-db-2' }),
      series(BACKUP, '7000x200', { pod: 'stalwart-two-db-1' }),
    ],
    ['MailBackupOld: The database of MailServer stalwart has not been backed up for 36 hours'],
  ],
  [
    'one Pod does not know lines of the spam rules',
    [...WELL, series('mail_spam_rule_mistakes', '0x200'), series('mail_spam_rule_mistakes', '2x200', OTHER)],
    ['MailSpamRulesLeftOut: Engines of MailServer stalwart leave out 2 lines of its spam rules'],
  ],
  [
    'workers crash',
    [...WELL, series('mail_worker_restarts_total', '0+1x200')],
    ['MailWorkersRestart: Engine processes of MailServer stalwart keep ending'],
  ],
]

const labelsOf = (name: string, alert: string): Record<string, string> => {
  if (alert === 'MailConfigInvalid') return { pod: OTHER.pod }
  return name === 'nothing is scraped' ? { namespace: 'communication' } : {}
}

test('Prometheus accepts the rules, and they fire when they should', { skip: promtoolMissing }, () => {
  const cases = CASES.map(
    ([name, given, texts]): AlertCase => ({
      name,
      series: given,
      fired: texts.map((text) => {
        const [alert = '', summary = ''] = text.split(/: (.*)/)
        return { alert, summary, labels: labelsOf(name, alert) }
      }),
    }),
  )
  assertAlerts(alertsOf({ database: { cnpg: { backup } } }), cases)
})
