/** kubectl mail on the local Kubernetes API: what it prints, what it changes, how it ends. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { customResourceDefinitions } from '../api/crds.ts'
import { MailServerResource, PAUSED, ROTATE_DKIM } from '../api/group.ts'
import { startFakeApi } from '../kube/fake-api.ts'
import { CustomResourceDefinition } from '../kube/resources.ts'
import { startApiServer } from '../local/apiserver/server.ts'
import { connect } from './main.ts'
import { EXIT, run } from './run.ts'
import { fillCluster, LONG_RECORD, NOW, PASSWORD, STATUS } from './testing/cluster.ts'

const directory = mkdtempSync(join(tmpdir(), 'kubectl-mail-'))
const kubeconfig = join(directory, 'kubeconfig')
const api = await startApiServer({})
writeFileSync(kubeconfig, api.kubeconfig, { mode: 0o600 })
const { client, ...connected } = connect({ kubeconfig })
after(async () => {
  await connected[Symbol.asyncDispose]()
  await api.close()
  rmSync(directory, { recursive: true })
})

async function mail(line: string) {
  let out = ''
  let err = ''
  const code = await run(line === '' ? [] : line.split(' '), {
    terminal: {
      out: (part) => {
        out += part
      },
      err: (part) => {
        err += part
      },
    },
    connect: async (options) =>
      connect({ kubeconfig, ...Object.fromEntries(Object.entries(options).filter(([, value]) => value)) }),
    now: () => NOW,
  })
  return { code, out, err }
}

test('a cluster without our kinds is told from one without a MailServer', async () => {
  assert.deepEqual(await mail('status'), {
    code: EXIT.failed,
    out: '',
    err: 'error: this cluster knows no MailServers: is the operator installed?\n',
  })
  for (const crd of customResourceDefinitions()) await client.create(CustomResourceDefinition, crd)
  for (const verb of ['status', 'dns', 'dkim', 'dns --zone']) {
    assert.deepEqual(await mail(verb), { code: EXIT.done, out: '', err: 'No MailServers in namespace default\n' })
  }
  assert.equal((await mail('status -A')).err, 'No MailServers in the cluster\n')
  assert.equal((await mail('status -o json')).out, '[]\n')
  const other = await mail('dns post -n elsewhere')
  assert.deepEqual(
    [other.code, other.err],
    [EXIT.failed, 'error: there is no MailServer post in namespace elsewhere\n'],
  )
})

test('what is given to the cluster for the tests below', () => fillCluster(client))

test('status lists servers and exits 3 while one is not Ready', async () => {
  const { code, out } = await mail('status -A')
  assert.equal(code, EXIT.notWell)
  assert.deepEqual(
    out.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['NAMESPACE', 'NAME', 'READY', 'STATUS', 'ENGINES', 'DNS', 'ACCOUNTS', 'VERSION', 'HOSTNAME'],
      ['default', 'stalwart', 'False', 'Provisioning', '1/2', '1/2', '0/1', '1.2', 'mail.stalwart.example'],
      ['kube-public', 'other', 'False', 'NotLookedAt', '0/2', '0/0', 'mail.other.example'],
      [''],
    ],
  )
  assert.doesNotMatch((await mail('status')).out, /other/)
})

test('status of one server has its parts and conditions on one page', async () => {
  const { code, out } = await mail('status stalwart')
  assert.equal(code, EXIT.notWell)
  for (const line of [
    /^Ready: +False \(Provisioning\)$/m,
    /^Engines: +1 of 2 ready, registry\.example\/mail:1\.2$/m,
    /^Database: +CloudNativePG stalwart-db, 2 of 3 instances ready, primary stalwart-db-1$/m,
    /^Certificate: +Secret stalwart-tls, until 2026-07-01T12:00:00Z \(20 days\)$/m,
    /^DKIM keys: +1 active, 0 publishing, 0 retiring$/m,
    /^Accounts: +0 of 1 ready; not: alice$/m,
    /^DatabaseReady +False +Provisioning +3h +Cluster stalwart-db: Setting up primary$/m,
  ])
    assert.match(out, line)
})

test('status -o json is one object by name, else a list', async () => {
  const one = JSON.parse((await mail('status stalwart -o json')).out)
  assert.deepEqual(
    [one.name, one.ready, one.reason, one.replicas],
    ['stalwart', false, 'Provisioning', { wanted: 2, ready: 1 }],
  )
  assert.deepEqual(
    JSON.parse((await mail('status -A -o json')).out).map(({ name }: { name: string }) => name),
    ['stalwart', 'other'],
  )
})

test('dns shows records, cut to fit, and exits 3 while one is missing', async () => {
  const { code, out } = await mail('dns stalwart')
  assert.equal(code, EXIT.notWell)
  assert.match(out, /^Published +MX +example\.org +10 mail\.example\.org\.$/m)
  assert.match(out, /^Missing +TXT +default\._domainkey\.example\.org +v=DKIM1; k=rsa; p=A+…$/m)
  assert.equal(JSON.parse((await mail('dns stalwart -o json')).out).records[1].value, LONG_RECORD)
})

test('dns --zone is a zone file with whole values', async () => {
  const { code, out } = await mail('dns stalwart --zone')
  assert.equal(code, EXIT.done)
  assert.match(out, /^\$TTL \d+$/m)
  assert.match(out, /^example\.org\. IN MX 10 mail\.example\.org\.$/m)
  const [, strings = ''] = /^default\._domainkey\.example\.org\. IN TXT (.*)$/m.exec(out) ?? []
  assert.equal(strings.replaceAll(/" "|"/g, ''), LONG_RECORD)
})

test('dkim shows keys with the age of their state', async () => {
  const { code, out } = await mail('dkim stalwart')
  assert.equal(code, EXIT.done)
  assert.match(out, /^example\.org +default +rsa2048 +Active +10d +stalwart-dkim-example\.org-default$/m)
})

const annotations = async () =>
  (await client.get(MailServerResource, { namespace: 'default', name: 'stalwart' })).metadata.annotations ?? {}

test('dkim rotate sets the annotation that the operator acts on', async () => {
  const { code, out } = await mail('dkim rotate stalwart')
  assert.equal(code, EXIT.done)
  assert.equal((await annotations())[ROTATE_DKIM], NOW.toISOString())
  assert.match(out, /publish the new records/)
})

test('pause and resume set and remove the annotation; a second time nothing is written', async () => {
  assert.match((await mail('pause stalwart')).out, /paused/)
  assert.equal((await annotations())[PAUSED], 'true')
  const { resourceVersion } = (await client.get(MailServerResource, { namespace: 'default', name: 'stalwart' }))
    .metadata
  assert.equal((await mail('pause stalwart')).out, 'mailserver/stalwart is paused already\n')
  const after = await client.get(MailServerResource, { namespace: 'default', name: 'stalwart' })
  assert.equal(after.metadata.resourceVersion, resourceVersion)
  assert.match((await mail('status')).out, /stalwart +False +Paused/)
  const refused = await mail('dkim rotate stalwart')
  assert.deepEqual(
    [refused.code, refused.err],
    [EXIT.failed, 'error: mailserver/stalwart is paused: kubectl mail resume stalwart\n'],
  )
  assert.equal((await mail('resume stalwart')).out, 'mailserver/stalwart resumed\n')
  assert.equal(PAUSED in (await annotations()), false)
})

test('dkim rotate is refused where the operator would not act on it', async () => {
  const key = { namespace: 'default', name: 'stalwart' }
  const [first] = STATUS.dkim.keys
  const keys = [first, { ...first, selector: '20260611', state: 'Publishing', waitsFor: 'DNS to show it' }]
  await client.mergePatch(MailServerResource, key, { status: { dkim: { keys } } }, { subresource: 'status' })
  assert.match((await mail('dkim rotate stalwart')).err, /waits for DNS to show 20260611\._domainkey\.example\.org/)
  assert.match((await mail('dkim stalwart')).out, / 20260611 +rsa2048 +Publishing .* DNS to show it$/m)
  assert.match((await mail('dkim rotate other -n kube-public')).err, /has no DKIM keys yet/)
})

test('a report has what belongs to the server and no secret value', async () => {
  const { code, out, err } = await mail('report stalwart')
  assert.equal(code, EXIT.done)
  assert.equal(err, '')
  const [about, ...objects] = parseAllDocuments(out).map((document) => document.toJS())
  assert.deepEqual([about.server, about.at, about.incomplete], ['default/stalwart', NOW.toISOString(), []])
  assert.deepEqual(
    objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    [
      'MailServer/stalwart',
      'Secret/stalwart-admin',
      'Secret/stalwart-db-credentials',
      'ConfigMap/stalwart-config',
      'MailAccount/alice',
      'Event/e1',
    ],
  )
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), 'alices-own-password', 'hunter22', 'last-applied']) {
    assert.ok(!out.includes(secret), secret)
    assert.ok(!out.includes(Buffer.from(secret).toString('base64')), secret)
  }
  assert.equal(objects[1].data.token, `[redacted], ${PASSWORD.length} bytes`)
  assert.equal(objects[3].data['config.json'], '{"leaked": "[redacted]", "relay": "smtp://[redacted]@relay.example"}')
  assert.ok(!out.includes('managedFields'))
})

test('a report goes into a new file that only its owner reads', async () => {
  const file = join(directory, 'report.json')
  const { code, out, err } = await mail(`report stalwart -o json --file ${file}`)
  assert.deepEqual([code, out, err], [EXIT.done, '', `6 objects written to ${file}\n`])
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).objects.length, 6)
  const again = await mail(`report stalwart --file ${file}`)
  assert.equal(again.code, EXIT.failed)
  assert.match(again.err, /^error: EEXIST/)
})

test('queue where no engine answers says so', async () => {
  const { code, err } = await mail('queue stalwart')
  assert.equal(code, EXIT.failed)
  assert.match(err, /^error: no engine of MailServer stalwart answers through the API server: /)
})

test('queue reads the metrics of an engine through the API server’s proxy', async () => {
  const sizes = 'stalwart_queue_size{state="due"} 3\nstalwart_queue_size{state="waiting"} 1200\n'
  const name = { name: 'stalwart', namespace: 'default' }
  await using fake = await startFakeApi((request, response) => {
    if (request.path.endsWith('/mailservers/stalwart'))
      response.end(JSON.stringify({ kind: 'MailServer', metadata: name }))
    else if (request.path === '/api/v1/namespaces/default/services/http:stalwart-http:http/proxy/metrics') {
      response.end(`# TYPE stalwart_queue_size gauge\n${sizes}mail_workers 2\n`)
    } else response.writeHead(404).end()
  })
  const file = join(directory, 'fake')
  writeFileSync(file, fake.kubeConfig().exportConfig())
  const { code, out, err } = await mail(`queue stalwart --kubeconfig ${file}`)
  assert.deepEqual([code, err], [EXIT.done, ''])
  assert.match(out, /^due +3 +to be tried now$/m)
  const json = JSON.parse((await mail(`queue stalwart -o json --kubeconfig ${file}`)).out)
  assert.deepEqual(json.recipients, { due: 3, waiting: 1200 })
})

test('wrong usage ends with 2 and a hint, before any cluster is asked', async () => {
  const { code, out, err } = await mail('stat --kubeconfig /nonexistent')
  assert.deepEqual([code, out], [EXIT.usage, ''])
  assert.equal(err, 'error: there is no command "stat"\nSee kubectl mail --help\n')
})

/** Not synchronously: the API that it asks runs in this process. */
async function started(...args: string[]) {
  const program = new URL('../../bin/kubectl-mail', import.meta.url).pathname
  const child = spawn(program, args, { env: { PATH: process.env.PATH ?? '', KUBECONFIG: kubeconfig } })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { out, err, code }
}

test('the program: exit code, standard output and error, by KUBECONFIG and by --context', async () => {
  const good = await started('status', 'stalwart', '-o', 'json')
  assert.deepEqual([good.code, good.err, JSON.parse(good.out).name], [EXIT.notWell, '', 'stalwart'])
  const bad = await started('status', '--context', 'nowhere')
  assert.deepEqual(bad, { code: EXIT.failed, out: '', err: 'error: the kubeconfig has no context "nowhere"\n' })
  assert.deepEqual(await started(), await started('--help'))
})

test('the namespace is that of the context unless -n says otherwise', async () => {
  const config = parse(api.kubeconfig)
  config.contexts[0].context.namespace = 'kube-public'
  const file = join(directory, 'namespaced')
  writeFileSync(file, JSON.stringify(config))
  assert.match((await mail(`status --kubeconfig ${file}`)).out, /^kube-public +other/m)
  assert.match((await mail(`status -n default --kubeconfig ${file}`)).out, /^default +stalwart/m)
})
