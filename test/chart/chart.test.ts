/** The Helm chart: its CRDs are the generated ones, its rights are those that the code needs, helm accepts it. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { readOperatorConfig } from '../../operator/config.ts'
import { BUILT_IN, OPTIONAL, READ_ONLY } from '../../operator/mailserver/kinds.ts'
import {
  gatewayNamespaceRules,
  ownNamespaceRules,
  type PolicyRule,
  watchedNamespaceRules,
} from '../../operator/rbac.ts'
import { generatedTemplates } from '../../scripts/chart.ts'
import { isBuilt, tool } from '../cluster-tool.ts'

const chart = join(import.meta.dirname, '../../charts/mail-operator')

test('what is made from the code is in step with it (else: node scripts/chart.ts)', () => {
  const folder = join(chart, 'templates')
  const expected = generatedTemplates()
  const crds = readdirSync(join(folder, 'crds')).map((name) => `crds/${name}`)
  assert.deepEqual(['_rules.tpl', ...crds].sort(), [...expected.keys()].sort())
  for (const [name, content] of expected)
    assert.ok(readFileSync(join(folder, name), 'utf8') === content, `${name} is old`)
})

test('chart and package carry one version', () => {
  const { version, appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
  const packaged = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  assert.deepEqual([version, appVersion], [packaged.version, packaged.version])
})

const helm = { skip: isBuilt('helm') ? false : 'helm is not built here' }

interface Schema {
  properties?: Record<string, Schema>
}
/** "image.tag" of every value. */
const pathsOf = ({ properties = {} }: Schema, prefix = ''): string[] =>
  Object.entries(properties).flatMap(([name, node]) => [
    ...(node.properties ? [] : [`${prefix}${name}`]),
    ...pathsOf(node, `${prefix}${name}.`),
  ])
const field = (node: unknown, name: string): unknown => (node as Record<string, unknown> | undefined)?.[name]

interface Rendered {
  kind: string
  metadata: {
    name: string
    namespace?: string
    annotations?: Record<string, string>
    labels?: Record<string, string>
  }
  data?: Record<string, string>
  rules?: PolicyRule[]
  spec?: Record<string, unknown>
}

function render(...args: string[]): Rendered[] {
  const text = execFileSync(tool('helm'), ['template', 'mail-operator', chart, '--namespace', 'mail-system', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 32 * 1024 * 1024,
  })
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null)
}
const named = (objects: Rendered[], kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === name) ??
  assert.fail(`${kind} ${name} is missing`)

/** "apps/deployments" → verbs. */
function rights(rules: readonly PolicyRule[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const { apiGroups, resources, verbs } of rules) {
    for (const group of apiGroups) {
      for (const resource of resources) {
        const name = `${group}/${resource}`
        found.set(name, new Set([...(found.get(name) ?? []), ...verbs]))
      }
    }
  }
  return found
}

test('helm lint is content', helm, () => {
  execFileSync(tool('helm'), ['lint', '--strict', chart], { stdio: 'pipe' })
})

test('the operator gets the rights of operator/rbac.ts, as verbs per resource, and no others', helm, () => {
  const sorted = (found: Map<string, Set<string>>) =>
    [...found].map(([name, verbs]) => `${name}: ${[...verbs].sort().join(' ')}`).sort()
  const objects = render()
  const rules = (kind: string, name: string) => rights(named(objects, kind, name).rules ?? [])
  assert.deepEqual(sorted(rules('ClusterRole', 'mail-operator')), sorted(rights(watchedNamespaceRules)))
  assert.deepEqual(sorted(rules('Role', 'mail-operator-leader-election')), sorted(rights(ownNamespaceRules)))
})

test('the rights cover every kind that the operator makes or watches, with the verbs that it uses', () => {
  const allowed = rights(watchedNamespaceRules)
  for (const { group, kind, plural } of [...BUILT_IN, ...Object.values(OPTIONAL)]) {
    const readOnly = READ_ONLY.some((resource) => resource.kind === kind)
    // A database and its backups are left to the garbage collector.
    const removed = kind === 'Cluster' || kind === 'ObjectStore' ? [] : ['delete']
    const verbs = ['list', 'watch', ...(readOnly ? [] : ['get', 'create', 'patch', ...removed])]
    assert.deepEqual([...(allowed.get(`${group}/${plural}`) ?? [])].sort(), verbs.sort(), `${group}/${plural}`)
  }
  for (const plural of ['mailservers', 'mailaccounts'])
    assert.deepEqual([...(allowed.get(`mail.openova.io/${plural}`) ?? [])].sort(), ['list', 'patch', 'watch'])
})

test('with watchNamespaces the rights end at those namespaces', helm, () => {
  const objects = render('--set', 'watchNamespaces={a,b}')
  const roles = objects
    .filter(({ kind }) => kind === 'Role')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
  assert.deepEqual(roles.sort(), ['a/mail-operator', 'b/mail-operator', 'mail-system/mail-operator-leader-election'])
  const wide = objects.filter(({ kind, metadata }) => kind === 'ClusterRole' && !/-(edit|view)$/.test(metadata.name))
  assert.deepEqual(wide, [])
  assert.ok(!objects.some(({ kind }) => kind === 'ClusterRoleBinding'))
})

test('with watchNamespaces the Gateways of other namespaces are read where that is named', helm, () => {
  const named = ['--set', 'gatewayNamespaces={edge}']
  const inside = render('--set', 'watchNamespaces={a}', ...named).filter(
    ({ metadata }) => metadata.namespace === 'edge',
  )
  assert.deepEqual(
    inside.map(({ kind, metadata, rules }) => ({ kind, name: metadata.name, rules })),
    [
      { kind: 'Role', name: 'mail-operator-gateways', rules: gatewayNamespaceRules },
      { kind: 'RoleBinding', name: 'mail-operator-gateways', rules: undefined },
    ],
  )
  // A ClusterRole holds them already.
  assert.deepEqual(
    render(...named).filter(({ metadata }) => metadata.namespace === 'edge'),
    [],
  )
})

test('no rule has a wildcard', helm, () => {
  const rules = render().flatMap((object) => object.rules ?? [])
  assert.ok(rules.length > 5)
  assert.ok(!JSON.stringify(rules).includes('*'))
})

test('CRDs stay at uninstall unless that is not wanted', helm, () => {
  const annotations = (objects: Rendered[]) =>
    objects.filter(({ kind }) => kind === 'CustomResourceDefinition').map(({ metadata }) => metadata.annotations)
  const keep = { 'helm.sh/resource-policy': 'keep' }
  assert.deepEqual(annotations(render()), [keep, keep])
  assert.deepEqual(annotations(render('--set', 'crds.keep=false')), [undefined, undefined])
  assert.deepEqual(annotations(render('--set', 'crds.enabled=false')), [])
})

test('the environment that the chart sets is one the operator reads', helm, () => {
  const args = ['--set', 'image.repository=r/i', '--set', 'image.tag=t', '--set', 'watchNamespaces={a,b}']
  const deployment = named(render(...args), 'Deployment', 'mail-operator')
  const { template } = deployment.spec as {
    template: { spec: { containers: { image: string; env: { name: string; value?: string }[] }[] } }
  }
  const [container] = template.spec.containers
  const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value ?? 'x']))
  const config = readOperatorConfig(env, 'unique')
  assert.equal(container?.image, 'r/i:t')
  assert.equal(config.engineImage, 'r/i:t')
  assert.deepEqual(config.namespaces, ['a', 'b'])
  assert.equal(config.healthPort, 8081)
  assert.equal(config.leaderElection.name, 'mail-operator')
  const source = readFileSync(join(import.meta.dirname, '../../operator/config.ts'), 'utf8')
  for (const name of Object.keys(env)) assert.ok(source.includes(name) || name.startsWith('LEADER_ELECTION_'), name)
})

test('two operators have a budget, one does not: it would only hold up a drain', helm, () => {
  const budgets = (...args: string[]) => render(...args).filter(({ kind }) => kind === 'PodDisruptionBudget')
  assert.deepEqual(budgets(), [])
  const [budget] = budgets('--set', 'replicas=2')
  const deployment = named(render(), 'Deployment', 'mail-operator')
  assert.deepEqual(budget?.spec, {
    maxUnavailable: 1,
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
    selector: deployment.spec?.selector,
  })
  assert.deepEqual(budgets('--set', 'replicas=2', '--set', 'podDisruptionBudget.enabled=false'), [])
})

test('a NetworkPolicy selects the operator, lets metrics in, and DNS and what is named out', helm, () => {
  const policies = (...args: string[]) => render(...args).filter(({ kind }) => kind === 'NetworkPolicy')
  assert.deepEqual(policies(), [])
  const on = ['--set', 'networkPolicy.enabled=true']
  const [wide] = policies(...on)
  const { template } = named(render(), 'Deployment', 'mail-operator').spec as {
    template: { spec: { containers: { ports: { name: string }[] }[] } }
  }
  assert.equal(template.spec.containers[0]?.ports[0]?.name, 'health')
  assert.deepEqual(wide?.spec?.ingress, [{ ports: [{ port: 'health', protocol: 'TCP' }] }])
  const dns = ['UDP', 'TCP'].map((protocol) => ({ port: 53, protocol }))
  assert.deepEqual(wide?.spec?.egress, [{ ports: dns }, { ports: [{ port: 1, endPort: 65535, protocol: 'TCP' }] }])
  const peer = { namespaceSelector: { matchLabels: { name: 'monitoring' } } }
  const rule = { to: [{ ipBlock: { cidr: '10.0.0.1/32' } }], ports: [{ port: 6443, protocol: 'TCP' }] }
  const [narrow] = policies(
    ...on,
    '--set-json',
    `networkPolicy.metricsFrom=${JSON.stringify([peer])}`,
    '--set-json',
    `networkPolicy.egress=${JSON.stringify([rule])}`,
  )
  assert.deepEqual(narrow?.spec?.ingress, [{ ports: [{ port: 'health', protocol: 'TCP' }], from: [peer] }])
  assert.deepEqual(narrow?.spec?.egress, [{ ports: dns }, rule])
})

test('the configuration of kube-state-metrics goes where it is mounted, unchanged', helm, () => {
  const objects = render('--set', 'kubeStateMetrics.enabled=true', '--set', 'kubeStateMetrics.namespace=monitoring')
  const { metadata, data } = named(objects, 'ConfigMap', 'mail-operator-custom-resource-state')
  assert.equal(metadata.namespace, 'monitoring')
  const file = readFileSync(join(chart, 'kube-state-metrics/custom-resource-state.yaml'), 'utf8')
  assert.deepEqual(parse(data?.['config.yaml'] ?? ''), parse(file))
})

test('the alerts are a PrometheusRule with the labels that are asked for, unchanged', helm, () => {
  assert.ok(!render().some(({ kind }) => kind === 'PrometheusRule'))
  const on = ['--set', 'prometheusRule.enabled=true', '--set', 'prometheusRule.labels.release=prometheus']
  const { metadata, spec } = named(render(...on), 'PrometheusRule', 'mail-operator')
  assert.equal(metadata.labels?.release, 'prometheus')
  assert.deepEqual(spec, parse(readFileSync(join(chart, 'alerts/mail-operator.yaml'), 'utf8')))
})

test('every dashboard is a ConfigMap with the label that the sidecar looks for', helm, () => {
  const configMaps = (...args: string[]) => render(...args).filter(({ kind }) => kind === 'ConfigMap')
  assert.deepEqual(configMaps(), [])
  const files = readdirSync(join(chart, 'dashboards'))
  const usual = configMaps('--set', 'dashboards.enabled=true')
  assert.deepEqual(usual.flatMap(({ data }) => Object.keys(data ?? {})).sort(), files.sort())
  for (const { metadata, data } of usual) {
    assert.equal(metadata.labels?.grafana_dashboard, '1')
    for (const [name, text] of Object.entries(data ?? {})) {
      assert.deepEqual(JSON.parse(text), JSON.parse(readFileSync(join(chart, 'dashboards', name), 'utf8')))
    }
  }
  const other = ['dashboards.label=grafana', 'dashboards.labelValue=yes', 'dashboards.namespace=grafana']
  for (const { metadata } of configMaps('--set', 'dashboards.enabled=true', '--set', other.join(','))) {
    assert.deepEqual([metadata.namespace, metadata.labels?.grafana], ['grafana', 'yes'])
  }
})

test('values.schema.json knows every value, and only those', () => {
  const values: unknown = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))
  const schema: Schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  const known = pathsOf(schema).filter((path) => !['global', 'nameOverride', 'fullnameOverride'].includes(path))
  const given = known.filter(
    (path) => path.split('.').reduce<unknown>((node, part) => field(node, part), values) === undefined,
  )
  assert.deepEqual(given, [], 'in the schema and not in values.yaml')
  const used = readdirSync(join(chart, 'templates'))
    .filter((name) => name !== 'crds')
    .map((name) => readFileSync(join(chart, 'templates', name), 'utf8'))
    .join('\n')
  assert.deepEqual(
    known.filter((path) => !used.includes(`.Values.${path}`) && !path.startsWith('crds.')),
    [],
    'in the schema and in no template',
  )
})

for (const [what, value] of [
  ['an unknown key', 'imagge.tag=x'],
  ['a pull policy that is none', 'image.pullPolicy=Sometimes'],
  ['a namespace that is no name', 'watchNamespaces={Not_A_Name}'],
  ['a budget of nothing', 'podDisruptionBudget.maxUnavailable=0'],
  ['an unknown value of a dashboard', 'dashboards.folder=x'],
] as const) {
  test(`values.schema.json refuses ${what}`, helm, () => {
    assert.throws(() => render('--set', value), /schema|additional|values/i)
  })
}
