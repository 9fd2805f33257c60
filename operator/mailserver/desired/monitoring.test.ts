import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { prometheusRule } from './monitoring.ts'

interface Alert {
  alert: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

function alertsOf(spec: Parameters<typeof contextOf>[0] = {}): Alert[] {
  const rule = prometheusRule(contextOf({ ...spec, monitoring: { prometheusRule: { enabled: true } } }))
  assert.ok(rule)
  return (rule.spec as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules)
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

/** One series: what Prometheus has of an engine's Pod, in promtool's notation for values a minute apart. */
const series = (metric: string, values: string, { pod = 'stalwart-7c9d8f5b6-x2x4z', labels = '' } = {}) => ({
  series: `${metric}{namespace="communication",pod="${pod}"${labels}}`,
  values,
})
const EXPIRES = 'mail_tls_certificate_expiration_timestamp_seconds'
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
  [
    'workers crash',
    [...WELL, series('mail_worker_restarts_total', '0+1x200')],
    ['MailWorkersRestart: Engine processes of MailServer stalwart keep ending'],
  ],
]

const directory = mkdtempSync(join(tmpdir(), 'mail-alerts-'))
after(() => rmSync(directory, { recursive: true }))
const promtool = (...args: string[]) => spawnSync('promtool', args, { cwd: directory, encoding: 'utf8' })
const missing = promtool('--version').error ? 'no promtool (Debian: prometheus)' : false

test('Prometheus accepts the rules, and they fire when they should', { skip: missing }, () => {
  const rules = alertsOf()
  writeFileSync(join(directory, 'rules.json'), JSON.stringify({ groups: [{ name: 'mail', rules }] }))
  const check = promtool('check', 'rules', 'rules.json')
  assert.equal(check.status, 0, check.stdout + check.stderr)
  const tests = CASES.map(([name, input_series, fired]) => ({
    name,
    interval: '1m',
    input_series,
    alert_rule_test: rules.map(({ alert, labels, annotations }) => ({
      eval_time: '2h',
      alertname: alert,
      exp_alerts: fired
        .filter((text) => text.startsWith(`${alert}: `))
        .map((text) => ({
          exp_labels: {
            ...labels,
            ...(alert === 'MailConfigInvalid' ? { pod: OTHER.pod } : {}),
            ...(name === 'nothing is scraped' ? { namespace: 'communication' } : {}),
          },
          exp_annotations: { ...annotations, summary: text.slice(alert.length + 2) },
        })),
    })),
  }))
  writeFileSync(join(directory, 'tests.json'), JSON.stringify({ rule_files: ['rules.json'], tests }))
  const run = promtool('test', 'rules', 'tests.json')
  assert.equal(run.status, 0, run.stdout + run.stderr)
  const proved = CASES.flatMap(([, , fired]) => fired.map((text) => text.split(':')[0]))
  assert.deepEqual(new Set(proved), new Set(rules.map(({ alert }) => alert)), 'every alert has fired')
})
