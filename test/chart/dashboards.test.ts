/** The Grafana dashboards: panels ask only for metrics and labels that exist. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { z } from 'zod'
import { assertQueries, promtoolMissing } from '../promtool.ts'

const repository = join(import.meta.dirname, '../..')
const folder = join(repository, 'charts/mail-operator/dashboards')
const monitoring = readFileSync(join(repository, 'docs/monitoring.md'), 'utf8')

const datasource = z.object({ type: z.literal('prometheus'), uid: z.literal('$' + '{datasource}') })
const target = z.object({ refId: z.string(), expr: z.string().min(1), legendFormat: z.string() })
const panel = z.object({
  id: z.int(),
  type: z.enum(['row', 'stat', 'timeseries', 'table']),
  title: z.string().min(1),
  datasource: datasource.optional(),
  gridPos: z.object({ x: z.int(), y: z.int(), w: z.int().max(24), h: z.int() }),
  targets: z.array(target).default([]),
})
const dashboard = z.object({
  uid: z.string().regex(/^[a-z-]{1,40}$/),
  title: z.string(),
  panels: z.array(panel),
  templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string().optional() })) }),
})

/** Name → labels of its own; those that scraping adds are known beside. */
const metrics = new Map<string, string[]>([['up', []]])
const SCRAPED = ['namespace', 'pod', 'job', 'instance', 'le']
const labelsIn = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, label = '']) => label)
for (const [, name = '', type, cell = ''] of monitoring.matchAll(
  /^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|/gm,
)) {
  const names = type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
  for (const one of names) metrics.set(one, labelsIn(cell))
}
for (const [, name = '', cell = ''] of monitoring.matchAll(/^\| `(kube_customresource_\w+)` \|([^|]*)\|/gm)) {
  metrics.set(name, [...labelsIn(cell), 'namespace', 'name', 'server'])
}
const registry = new Registry()
collectDefaultMetrics({ register: registry })
for (const { name } of registry.getMetricsAsArray()) metrics.set(name, [])

const WORDS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'and', 'or', 'unless', 'offset'])

/** Metric names of a PromQL expression, and the labels it selects or groups by. */
function namedIn(expr: string): { names: string[]; labels: string[] } {
  const labels = [...expr.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label)
  labels.push(
    ...[...expr.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(/\s*,\s*/),
    ),
  )
  const plain = expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, '')
  const names = [...plain.matchAll(/\b[a-z_][a-z0-9_]*\b(?!\s*\()/g)].map(([name]) => name)
  return { names: names.filter((name) => !WORDS.has(name)), labels }
}

const files = globSync('*.json', { cwd: folder }).sort()
test('there are dashboards, each with an uid of its own', () => {
  assert.ok(files.length >= 2)
  const uids = files.map((file) => dashboard.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))).uid)
  assert.deepEqual(
    uids,
    files.map((file) => basename(file, '.json')),
  )
})

for (const file of files) {
  const text = readFileSync(join(folder, file), 'utf8')
  const board = dashboard.parse(JSON.parse(text))
  const panels = board.panels.filter(({ type }) => type !== 'row')

  test(`${file}: every panel asks for metrics that exist, by labels that they have`, () => {
    for (const { title, targets } of panels) {
      assert.ok(targets.length > 0, title)
      for (const { expr } of targets) {
        const { names, labels } = namedIn(expr)
        assert.ok(names.length > 0, expr)
        for (const name of names) assert.ok(metrics.has(name), `${title}: there is no metric ${name}`)
        const own = [...SCRAPED, ...names.flatMap((name) => metrics.get(name) ?? [])]
        for (const label of labels)
          assert.ok(own.includes(label), `${title}: ${names.join(', ')} has no label ${label}`)
      }
    }
  })

  test(`${file}: Prometheus reads every query`, { skip: promtoolMissing }, () => {
    // What Grafana puts in: a duration where a range is wanted, text elsewhere.
    const filled = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, 'x')
    assertQueries(panels.flatMap(({ targets }) => targets.map(({ expr }) => filled(expr))))
  })

  test(`${file}: its variables are asked for metrics that exist, and are all there`, () => {
    const known = new Set(board.templating.list.map(({ name }) => name))
    for (const { definition } of board.templating.list) {
      const [, metric] = /^label_values\((\w+), \w+\)$/.exec(definition ?? '') ?? []
      if (definition) assert.ok(metric && metrics.has(metric), definition)
    }
    for (const [, name = ''] of text.matchAll(/\$\{?(\w+)/g)) {
      assert.ok(known.has(name) || name.startsWith('__'), `there is no variable ${name}`)
    }
  })

  test(`${file}: legends name labels that stay after grouping`, () => {
    for (const { targets, title } of panels) {
      for (const { expr, legendFormat } of targets) {
        const grouped = /\bby \(/.test(expr)
        const { names, labels } = namedIn(expr)
        const left = grouped ? labels : [...SCRAPED, ...names.flatMap((name) => metrics.get(name) ?? [])]
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          assert.ok(left.includes(label), `${title}: ${label}`)
        }
      }
    }
  })

  test(`${file}: panels do not lie over one another, and it fits into a ConfigMap`, () => {
    const taken = new Set<string>()
    for (const { gridPos, title } of board.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(x < 24 && !taken.has(`${x},${y}`), title)
          taken.add(`${x},${y}`)
        }
    }
    assert.equal(new Set(board.panels.map(({ id }) => id)).size, board.panels.length)
    assert.ok(text.length < 900_000)
  })
}
