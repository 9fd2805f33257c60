/** The pages say what the code says: condition reasons, replies, metrics, alerts, flags; and links lead somewhere. */

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { createKubeMetrics } from '../operator/kube/metrics.ts'
import { HELP } from '../operator/local/start/options.ts'

const repository = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const sources = (...globs: string[]) =>
  globSync(globs, { cwd: repository, exclude: ['**/node_modules/**', '**/testing/**'] })
    .filter((path) => !path.endsWith('.test.ts'))
    .map(read)
    .join('\n')
const unique = (texts: Iterable<string>) => [...new Set(texts)].sort()
const all = (text: string, pattern: RegExp) => unique([...text.matchAll(pattern)].map((match) => match[1] ?? ''))

/** The text of a page under one heading, down to the next of the same or a higher level. */
function section(page: string, heading: string): string {
  const lines = page.split('\n')
  const begin = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  assert.notEqual(begin, -1, `no heading "${heading}"`)
  const level = lines[begin]?.indexOf(' ') ?? 0
  const end = lines.findIndex((line, at) => at > begin && /^#+ /.test(line) && line.indexOf(' ') <= level)
  return lines.slice(begin, end === -1 ? undefined : end).join('\n')
}

const troubleshooting = read('docs/troubleshooting.md')

/** Words in quotes that begin with a capital and are no reasons: types, kinds, states, methods, events. */
const NO_REASONS = new Set(
  `Ready Stalled Reconciling True False Unknown Normal Warning Delete Reconcile Retain Error Forbidden
  DatabaseReady StorageReady CertificateReady DKIMReady DNSReady EngineAvailable NetworkReady BackupReady RoutesReady MonitoringReady SpamRulesReady DomainsReady
  Cluster Pooler Certificate ConfigMap Deployment Secret Service HTTPRoute TCPRoute ObjectStore ScheduledBackup PodMonitor PrometheusRule
  CloudNativePG LoadBalancer ExternalDNS ContinuousArchiving LastBackupSucceeded ReplicaFailure Missing Mismatch
  TLSA Publishing Active Retiring AccountReady DELETE GET PUT
  AllAccessDisabled InvalidAccessKeyId SignatureDoesNotMatch RequestTimeTooSkewed Foreground
  CertificateRequest DNSEndpoint TimeoutError`.split(/\s+/),
)
/** Source, headings, and what is a reason elsewhere but not there. */
const SECTIONS: [string, string[], string[]?][] = [
  ['operator/mailserver/dependencies/database.ts', ['DatabaseReady']],
  ['operator/mailserver/dependencies/storage.ts', ['StorageReady'], ['Postgres']],
  ['operator/bucket/trouble.ts', ['StorageReady']],
  ['operator/mailserver/dependencies/certificate.ts', ['CertificateReady']],
  ['operator/mailserver/dependencies/engine.ts', ['EngineAvailable', 'NetworkReady'], ['Progressing']],
  ['operator/mailserver/dependencies/dns.ts', ['DNSReady']],
  ['operator/mailserver/dependencies/integrations.ts', ['BackupReady', 'RoutesReady', 'MonitoringReady']],
  ['operator/mailserver/dependencies/routes.ts', ['RoutesReady'], ['Programmed', 'HTTP']],
  ['operator/mailserver/{routes,gateways}.ts', ['RoutesReady'], ['Gateway', 'NotFound', 'ResolvedRefs']],
  ['operator/mailserver/dependencies/spam-rules.ts', ['SpamRulesReady']],
  ['operator/mailserver/dependencies/domains.ts', ['DomainsReady']],
  ['operator/mailserver/dependencies/dkim.ts', ['DKIMReady'], ['Published']],
  ['operator/mailserver/reconcile.ts', ['Ready', 'Stalled'], ['Published']],
  ['operator/mailserver/conditions.ts', ['Ready', 'Stalled', 'Reconciling']],
  ['operator/mailserver/finalize.ts', ['MailAccount']],
  ['operator/mailaccount/{reconcile,conditions,finalize,admin-api}.ts', ['MailAccount']],
  ['operator/kube/failing.ts', ['Ready', 'Stalled', 'Reconciling']],
  ['operator/kube/failing.ts', ['MailAccount']],
]

function reasonsIn(glob: string): string[] {
  const code = sources(glob).replaceAll(/^import[\s\S]*?from '.*$/gm, '')
  return all(code, /'([A-Z][a-zA-Z]+)'/g).filter((word) => !NO_REASONS.has(word) && !/^E[A-Z]+$/.test(word))
}

for (const [glob, headings, others = []] of SECTIONS) {
  test(`every reason of ${glob} is in troubleshooting.md`, () => {
    const text = headings.map((heading) => section(troubleshooting, heading)).join('\n')
    const reasons = reasonsIn(glob).filter((reason) => !others.includes(reason))
    assert.ok(reasons.length > 0)
    const missing = reasons.filter((reason) => !text.includes(`\`${reason}\``))
    assert.deepEqual(missing, [], `under ${headings.join(', ')}; what is no reason belongs in NO_REASONS`)
  })
}

test('no other file says what becomes a condition of a MailServer', () => {
  const known = SECTIONS.flatMap(([glob]) => globSync(glob, { cwd: repository }))
  const files = globSync('operator/mailserver/dependencies/*.ts', { cwd: repository })
  const unknown = files.filter((file) => !/(\.test|statement)\.ts$/.test(file) && !known.includes(file))
  assert.deepEqual(unknown, [])
})

test('every type of condition has its heading, and no reason there is made up', () => {
  const types = all(read('operator/mailserver/dependencies/statement.ts'), /^ {2}\| '(\w+)'/gm)
  const code = sources('operator/{mailserver,mailaccount,bucket,api,kube}/**/*.ts')
  for (const type of [...types, 'Ready', 'Stalled', 'Reconciling', 'MailAccount']) {
    const rows = section(troubleshooting, type).split('\n')
    const reasons = rows.flatMap((row) => all(/^\| (`[^|]*)\|/.exec(row)?.[1] ?? '', /`(\w+)`/g))
    assert.deepEqual(
      reasons.filter((reason) => !code.includes(`'${reason}'`)),
      [],
      type,
    )
  }
})

test('every SMTP refusal is in troubleshooting.md', () => {
  const code = sources('server/{smtp,queue}/**/*.ts')
  const replies = [...code.matchAll(/code: (\d{3}), enhanced: '([\d.]+)'/g)].map(
    ([, basic, more]) => `${basic} ${more}`,
  )
  assert.ok(replies.length > 10)
  const text = section(troubleshooting, 'SMTP replies')
  assert.deepEqual(
    unique(replies).filter((reply) => !text.includes(`\`${reply}\``)),
    [],
  )
})

test('every IMAP response code of ours is in troubleshooting.md', () => {
  const codes = all(sources('server/imap/**/*.ts'), /\b(?:no|bad)\('[^']*', '([A-Z]+)'\)/g)
  assert.ok(codes.length > 5)
  const text = section(troubleshooting, 'IMAP responses')
  assert.deepEqual(
    codes.filter((name) => !text.includes(`[${name}]`)),
    [],
  )
})

const monitoring = read('docs/monitoring.md')
/** Rows "| `name` | type | labels | meaning |". */
const documented = new Map(
  [...monitoring.matchAll(/^\| `(\w+_\w+)` \| (?:counter|gauge|histogram) \|([^|]*)\|/gm)].map(
    ([, name = '', labels = '']) => [name, all(labels, /`(\w+)`/g)],
  ),
)

test('every metric of the operator is in monitoring.md with its labels', () => {
  const registry = new Registry()
  createKubeMetrics(registry)
  for (const metric of registry.getMetricsAsArray()) {
    const { labelNames = [] } = metric as { labelNames?: string[] }
    assert.deepEqual(documented.get(metric.name), unique(labelNames), metric.name)
  }
})

test('every metric of the engine is in monitoring.md with its labels', () => {
  const code = sources('server/**/*.ts')
  const metrics = [...code.matchAll(/new (?:Counter|Gauge|Histogram)\(\{\s*name: '(\w+)',([^}]*)/g)]
  assert.equal(metrics.length, [...code.matchAll(/new (?:Counter|Gauge|Histogram|Summary)\(/g)].length)
  for (const [, name = '', rest = ''] of metrics) {
    const labels = all(/labelNames: \[([^\]]*)/.exec(rest)?.[1] ?? '', /'(\w+)'/g)
    assert.deepEqual(documented.get(name), labels, name)
  }
})

test('monitoring.md and alerts.md name no metric that does not exist', () => {
  const code = sources('server/**/*.ts', 'operator/**/*.ts')
  const named = [
    ...documented.keys(),
    ...all(monitoring + read('docs/alerts.md') + troubleshooting, /\b((?:stalwart|mail)_[a-z_]+)\b/g),
  ].map((name) => name.replace(/_bucket$/, ''))
  assert.deepEqual(
    named.filter((name) => name !== 'mail_server' && !code.includes(`'${name}'`)),
    [],
  )
})

test('every flag of npm start is in local.md', () => {
  const local = read('docs/local.md')
  const flags = all(HELP, /(--[a-z-]+)/g).filter((flag) => flag !== '--help')
  assert.ok(flags.length > 8)
  assert.deepEqual(
    flags.filter((flag) => !local.includes(flag)),
    [],
  )
})

const PAGES = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: repository })]

/** As GitHub makes them. */
const anchorsOf = (page: string) =>
  new Set(
    all(page, /^#+ (.*)$/gm).map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )

for (const page of PAGES) {
  test(`every row of a table in ${page} is under its heading`, () => {
    const lines = read(page).split('\n')
    const isRow = (line = '') => line.startsWith('|')
    const begins = lines.flatMap((line, at) => (isRow(line) && !isRow(lines[at - 1]) ? [at] : []))
    assert.deepEqual(
      begins.filter((at) => !/^\|[-:| ]+\|$/.test(lines[at + 1] ?? '')).map((at) => lines[at]),
      [],
    )
  })

  test(`links of ${page} lead somewhere`, () => {
    for (const link of all(read(page).replaceAll(/`[^`\n]*`/g, ''), /\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(join(repository, file)), link)
      if (anchor) assert.ok(anchorsOf(read(file)).has(anchor), link)
    }
  })
}
