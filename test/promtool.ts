/** Queries and alerting rules as Prometheus itself takes them: by its promtool, where the machine has one. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface AlertingRule {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

/** What is scraped, and what fires of it after two hours. */
export interface AlertCase {
  name: string
  /** In promtool's notation, for values a minute apart: `up{pod="a"}` and "1x200". */
  series: { series: string; values: string }[]
  /** Each with the labels that it has beside those of its rule. */
  fired: { alert: string; summary: string; labels?: Record<string, string> }[]
}

/** Why nothing can be tried on this machine; false where it can: for `skip`. */
export const promtoolMissing = spawnSync('promtool', ['--version']).error ? 'no promtool (Debian: prometheus)' : false

/** @throws AssertionError with promtool's words when one is no PromQL */
export function assertQueries(exprs: readonly string[]): void {
  const rules = exprs.map((expr, index) => ({ record: `query_${index}`, expr }))
  withPromtool((promtool, write) => {
    write('queries.json', { groups: [{ name: 'queries', rules }] })
    promtool('check', 'rules', 'queries.json')
  })
}

/** @throws AssertionError with promtool's words when it refuses a rule, or when something else fires in a case */
export function assertAlerts(rules: readonly AlertingRule[], cases: readonly AlertCase[]): void {
  withPromtool((promtool, write) => {
    write('rules.json', { groups: [{ name: 'mail', rules }] })
    promtool('check', 'rules', 'rules.json')
    const tests = cases.map(({ name, series, fired }) => ({
      name,
      interval: '1m',
      input_series: series,
      alert_rule_test: rules.map((rule) => ({
        eval_time: '2h',
        alertname: rule.alert,
        exp_alerts: fired
          .filter(({ alert }) => alert === rule.alert)
          .map(({ summary, labels }) => ({
            exp_labels: { ...rule.labels, ...labels },
            exp_annotations: { ...rule.annotations, summary },
          })),
      })),
    }))
    write('tests.json', { rule_files: ['rules.json'], tests })
    promtool('test', 'rules', 'tests.json')
  })
  const proved = new Set(cases.flatMap(({ fired }) => fired.map(({ alert }) => alert)))
  assert.deepEqual(proved, new Set(rules.map(({ alert }) => alert)), 'every alert has fired')
}

/** In a folder of its own. */
function withPromtool(
  use: (promtool: (...args: string[]) => void, write: (file: string, content: unknown) => void) => void,
): void {
  const directory = mkdtempSync(join(tmpdir(), 'promtool-'))
  try {
    use(
      (...args) => {
        const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: directory, encoding: 'utf8' })
        assert.equal(status, 0, stdout + stderr)
      },
      (file, content) => writeFileSync(join(directory, file), JSON.stringify(content)),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
}
