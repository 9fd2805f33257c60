/** The kube-state-metrics configuration: every path is a field of the CRDs, every metric is in docs/monitoring.md. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'

const repository = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')

const path = z.array(z.string()).min(1)
const labels = z.record(z.string().regex(/^[a-z_]+$/), path)
const meta = { path: path.optional(), labelsFromPath: labels.optional() }
/** As kube-state-metrics reads it (pkg/customresourcestate/config.go): what it does not know, it refuses. */
const configuration = z.strictObject({
  kind: z.literal('CustomResourceStateMetrics'),
  spec: z.strictObject({
    resources: z.array(
      z.strictObject({
        groupVersionKind: z.strictObject({ group: z.string(), version: z.string(), kind: z.string() }),
        metricNamePrefix: z.string(),
        errorLogV: z.int(),
        labelsFromPath: labels,
        metrics: z.array(
          z.strictObject({
            name: z.string().regex(/^[a-z_]+$/),
            help: z.string().min(1),
            each: z.discriminatedUnion('type', [
              z.strictObject({ type: z.literal('Info'), info: z.strictObject({ ...meta, labelsFromPath: labels }) }),
              z.strictObject({
                type: z.literal('Gauge'),
                gauge: z.strictObject({ ...meta, valueFrom: path.optional() }),
              }),
              z.strictObject({
                type: z.literal('StateSet'),
                stateSet: z.strictObject({
                  ...meta,
                  labelName: z.string(),
                  valueFrom: path,
                  list: z.array(z.string()),
                }),
              }),
            ]),
          }),
        ),
      }),
    ),
  }),
})

interface Schema {
  type?: string
  format?: string
  enum?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  'x-kubernetes-int-or-string'?: boolean
}
const { spec } = configuration.parse(parse(read('charts/mail-operator/kube-state-metrics/custom-resource-state.yaml')))

/** The API server's own part of every object. */
const METADATA: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    generation: { type: 'integer' },
    deletionTimestamp: { type: 'string', format: 'date-time' },
  },
}

function schemaOf(kind: string): Schema {
  const crd = parse(read(`crds/${kind.toLowerCase()}s.yaml`))
  const [version] = crd.spec.versions
  const { properties } = version.schema.openAPIV3Schema
  return { type: 'object', properties: { ...properties, metadata: METADATA } }
}

function at(schema: Schema, parts: readonly string[], what: string): Schema {
  return parts.reduce(
    (node, part) => node.properties?.[part] ?? assert.fail(`${what}: there is no ${part} in [${parts.join(', ')}]`),
    schema,
  )
}

const isNumber = (node: Schema) =>
  node['x-kubernetes-int-or-string'] === true ||
  node.format === 'date-time' ||
  ['integer', 'number', 'boolean'].includes(node.type ?? '')

for (const { groupVersionKind, labelsFromPath, metrics } of spec.resources) {
  const { kind } = groupVersionKind
  const root = schemaOf(kind)

  test(`${kind}: group and version are served, and the labels of all metrics are fields`, () => {
    const crd = parse(read(`crds/${kind.toLowerCase()}s.yaml`))
    assert.equal(groupVersionKind.group, crd.spec.group)
    assert.ok(crd.spec.versions.some(({ name }: { name: string }) => name === groupVersionKind.version))
    for (const label of Object.values(labelsFromPath)) at(root, label, 'labels')
  })

  for (const { name, each } of metrics) {
    test(`${kind}: ${name} names fields of the CRD that have such values`, () => {
      const from = each.type === 'Info' ? each.info : each.type === 'Gauge' ? each.gauge : each.stateSet
      const node = at(root, from.path ?? [], name)
      const one = node.items ?? node
      for (const [label, where] of Object.entries(from.labelsFromPath ?? {})) {
        assert.ok(at(one, where, `${name} ${label}`).type === 'string', label)
        assert.ok(!(label in labelsFromPath), `${label} would hide the label of the object`)
      }
      if (each.type === 'Gauge') {
        // A map would be taken for a list of values.
        const value = at(one, each.gauge.valueFrom ?? [], name)
        assert.ok(isNumber(value), `${name} is no number`)
      }
      if (each.type === 'StateSet') {
        assert.deepEqual(
          [...each.stateSet.list].sort(),
          [...(at(one, each.stateSet.valueFrom, name).enum ?? [])].sort(),
        )
      }
      if (each.type === 'Info') assert.match(name, /(^|_)info$/)
    })
  }
}

test('every metric is in monitoring.md with its labels, and no other', () => {
  const page = read('docs/monitoring.md')
  const documented = new Map(
    [...page.matchAll(/^\| `(kube_customresource_\w+)` \|([^|]*)\|/gm)].map(([, name = '', cell = '']) => [
      name,
      [...cell.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort(),
    ]),
  )
  const configured = new Map(
    spec.resources.flatMap(({ metricNamePrefix, metrics }) =>
      metrics.map(({ name, each }) => {
        const from = each.type === 'Info' ? each.info : each.type === 'Gauge' ? each.gauge : each.stateSet
        const own = each.type === 'StateSet' ? [each.stateSet.labelName] : []
        return [`${metricNamePrefix}_${name}`, [...own, ...Object.keys(from.labelsFromPath ?? {})].sort()] as const
      }),
    ),
  )
  assert.deepEqual([...documented].sort(), [...configured].sort())
})
