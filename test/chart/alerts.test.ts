/** Alerts of the chart and of a MailServer: Prometheus takes them, they fire when they should, each has its page. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { prometheusRule } from '../../operator/mailserver/desired/monitoring.ts'
import { contextOf } from '../../operator/mailserver/testing/context.ts'
import { type AlertCase, type AlertingRule, assertAlerts, promtoolMissing } from '../promtool.ts'

const repository = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
interface Groups {
  groups: { rules: AlertingRule[] }[]
}
const rulesOf = ({ groups }: Groups) => groups.flatMap(({ rules }) => rules)
const ofChart = rulesOf(parse(read('charts/mail-operator/alerts/mail-operator.yaml')) as Groups)

test('every alert has its section in docs/alerts.md, which its runbook_url leads to, and no other has', () => {
  const backup = { destinationPath: 's3://backups/', credentialsSecretRef: { name: 's3' } }
  const monitoring = { prometheusRule: { enabled: true } }
  const ofServer = prometheusRule(contextOf({ monitoring, database: { cnpg: { backup } } }))?.spec as unknown as Groups
  const all = [...rulesOf(ofServer), ...ofChart]
  const sections = [...read('docs/alerts.md').matchAll(/^#+ (Mail[A-Za-z]+)$/gm)].map(([, name]) => name)
  assert.deepEqual(all.map(({ alert }) => alert).sort(), sections.sort())
  for (const { alert, annotations } of all) {
    assert.ok(annotations.runbook_url?.endsWith(`/docs/alerts.md#${alert.toLowerCase()}`), alert)
  }
})

/** As the PodMonitor has the operator's Pod scraped; `namespace` of its own metrics is renamed. */
const operator = (metric: string, labels: string, values: string, pod = 'a') => ({
  series: `${metric}{job="mail-system/mail-operator",namespace="mail-system",instance="${pod}",pod="${pod}"${labels}}`,
  values,
})
const running = (pod?: string) => operator('mail_operator_upgrades', ',state="running"', '0x200', pod)
const leads = (value: number, pod?: string) =>
  operator('leader_election_master_status', ',name="mail-operator"', `${value}x200`, pod)
const reconciles = (total: string, errors: string) => [
  operator('controller_runtime_reconcile_total', ',controller="mailserver",result="success"', total),
  operator('controller_runtime_reconcile_total', ',controller="mailserver",result="error"', errors),
  operator('controller_runtime_reconcile_errors_total', ',controller="mailserver"', errors),
]
const WELL = [running(), leads(1), ...reconciles('0+9x200', '0x200')]
/** As kube-state-metrics has it: one per status, 1 for the one that is. */
const condition = (kind: 'mailserver' | 'mailaccount', type: string, is: 'True' | 'False', name = 'stalwart') =>
  ['True', 'False', 'Unknown'].map((status) => ({
    series: `kube_customresource_${kind}_condition{namespace="communication",name="${name}"${kind === 'mailaccount' ? ',server="stalwart"' : ''},type="${type}",status="${status}"}`,
    values: `${status === is ? 1 : 0}x200`,
  }))
const ofServer = { namespace: 'communication', name: 'stalwart' }

const CASES: AlertCase[] = [
  {
    name: 'all is well, and a standby does not lead',
    series: [
      ...WELL,
      running('b'),
      leads(0, 'b'),
      operator('reflector_unreadable', ',name="secrets"', '0x200'),
      operator('controller_runtime_reconcile_panics_total', ',controller="mailserver"', '0x200'),
      operator('mail_operator_crd_missing_fields', ',kind="MailServer"', '0x200'),
      operator('mail_operator_held_by_others', '', '0x200'),
      ...condition('mailserver', 'Ready', 'True'),
      ...condition('mailserver', 'DNSReady', 'True'),
      ...condition('mailaccount', 'Ready', 'True', 'alice'),
    ],
    fired: [],
  },
  {
    name: 'no operator',
    series: [{ series: 'leader_election_master_status{job="other",name="other"}', values: '0x200' }],
    fired: [
      {
        alert: 'MailOperatorDown',
        summary: 'No operator of MailServers answers; mail flows, and nothing is changed or mended',
      },
    ],
  },
  {
    name: 'two operators, of which none leads',
    series: [running(), leads(0), running('b'), leads(0, 'b')],
    fired: [
      {
        alert: 'MailOperatorLeaderless',
        summary: 'None of the operators of mail-system/mail-operator leads',
        labels: { job: 'mail-system/mail-operator' },
      },
    ],
  },
  {
    name: 'three of four reconciliations fail',
    series: [running(), leads(1), ...reconciles('0+1x200', '0+3x200')],
    fired: [
      {
        alert: 'MailOperatorReconcilesFail',
        summary: 'Most reconciliations of controller mailserver fail: 75%',
        labels: { controller: 'mailserver' },
      },
    ],
  },
  {
    name: 'the first panic of a process',
    series: [...WELL, operator('controller_runtime_reconcile_panics_total', ',controller="mailserver"', '0x100 1x100')],
    fired: [
      {
        alert: 'MailOperatorPanics',
        summary: 'Controller mailserver has failed by a programming error',
        labels: { controller: 'mailserver' },
      },
    ],
  },
  {
    name: 'a right is missing in one namespace, and another everywhere',
    series: [
      ...WELL,
      operator('reflector_unreadable', ',name="secrets",exported_namespace="team-a"', '1x200'),
      operator('reflector_unreadable', ',name="secrets",exported_namespace="team-b"', '0x200'),
      operator('reflector_unreadable', ',name="jobs"', '1x200'),
    ],
    fired: [
      {
        alert: 'MailOperatorCannotRead',
        summary: 'The operator may not list secrets in team-a',
        labels: { name: 'secrets', exported_namespace: 'team-a' },
      },
      {
        alert: 'MailOperatorCannotRead',
        summary: 'The operator may not list jobs in all namespaces',
        labels: { name: 'jobs' },
      },
    ],
  },
  {
    name: 'a CRD of before',
    series: [...WELL, operator('mail_operator_crd_missing_fields', ',kind="MailServer"', '3x200')],
    fired: [
      {
        alert: 'MailOperatorCrdsOld',
        summary: '3 fields of MailServer are dropped by the API: its CRD is older than the operator',
        labels: { kind: 'MailServer' },
      },
    ],
  },
  {
    name: 'a second release over the same namespaces',
    series: [...WELL, operator('mail_operator_held_by_others', '', '2x200')],
    fired: [
      {
        alert: 'MailOperatorsOverlap',
        summary: '2 MailServers that mail-system/mail-operator watches are looked after by another operator',
        labels: { job: 'mail-system/mail-operator' },
      },
    ],
  },
  {
    name: 'a MailServer that is not Ready, Stalled, and without records, beside one that is well',
    series: [
      ...WELL,
      ...condition('mailserver', 'Ready', 'False'),
      ...condition('mailserver', 'Stalled', 'True'),
      ...condition('mailserver', 'Ready', 'True', 'other'),
      ...condition('mailserver', 'DNSReady', 'False'),
    ],
    fired: [
      {
        alert: 'MailServerNotReady',
        summary: 'MailServer communication/stalwart is not Ready',
        labels: ofServer,
      },
      { alert: 'MailServerStalled', summary: 'MailServer communication/stalwart waits for a person', labels: ofServer },
      {
        alert: 'MailServerDnsWrong',
        summary: 'DNS lacks records of MailServer communication/stalwart, or has others',
        labels: ofServer,
      },
    ],
  },
  {
    name: 'two of three accounts',
    series: [
      ...WELL,
      ...condition('mailaccount', 'Ready', 'False', 'alice'),
      ...condition('mailaccount', 'Ready', 'False', 'bob'),
      ...condition('mailaccount', 'Ready', 'True', 'carol'),
    ],
    fired: [
      {
        alert: 'MailAccountsNotReady',
        summary: '2 MailAccounts of MailServer communication/stalwart are not Ready',
        labels: { namespace: 'communication', server: 'stalwart' },
      },
    ],
  },
]

test('Prometheus accepts the rules, and they fire when they should', { skip: promtoolMissing }, () =>
  assertAlerts(ofChart, CASES),
)
