import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { createKubeClient, type KubeApi } from '../../kube/client.ts'
import { silentLogger } from '../../kube/logger.ts'
import {
  CustomResourceDefinition,
  Deployment as DeploymentResource,
  EndpointSlice,
  Pod as PodResource,
  Secret,
  Service as ServiceResource,
} from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type ApiServer, startApiServer } from '../apiserver/server.ts'
import { cnpgClusterCrd } from './cnpg-crd.ts'
import { type Deployment, isPodReady, PID_ANNOTATION, type Pod } from './objects.ts'
import { openProcessTable } from './process-table.ts'
import { type Runner, startRunner } from './runner.ts'
import { openServicePorts } from './service-ports.ts'

/** A toy engine: a line server on its `line` port and health on its `jmap` port. */
const TOY = `
import { createServer } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { existsSync, readFileSync } from 'node:fs'
const { MAIL_PORT_LINE, MAIL_PORT_JMAP, MAIL_LISTEN_ADDRESS, MAIL_ROOT, POD_NAME, GREETING } = process.env
const word = () => readFileSync(MAIL_ROOT + '/secret/word', 'utf8')
const tcp = createTcp({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  socket.write(POD_NAME + ' ' + GREETING + ' ' + word() + '\\n')
  let said = ''
  socket.on('data', (chunk) => (said += chunk))
  socket.on('end', () => socket.end('you said ' + said))
})
tcp.listen(Number(MAIL_PORT_LINE), MAIL_LISTEN_ADDRESS)
const http = createServer((request, response) => {
  if (request.url === '/metrics') return response.end('# TYPE toy_total counter\\ntoy_total{a="b"} 1\\n')
  response.end('ok')
})
http.listen(Number(MAIL_PORT_JMAP), MAIL_LISTEN_ADDRESS)
process.on('SIGTERM', () => { console.log('goodbye'); process.exit(0) })
console.log('toy listens')
`

const namespace = 'default'
let dir: string
let api: ApiServer
let client: KubeApi
let runner: Runner

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'runner test ')) // with a space, as clones may have
  await mkdir(join(dir, 'repository'))
  await writeFile(join(dir, 'repository', 'toy.mjs'), TOY)
  api = await startApiServer({ dir: join(dir, 'api'), port: 0 })
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig)
  client = createKubeClient({ kubeConfig, userAgent: 'runner-test', qps: 500, burst: 500 })
  await client.create(CustomResourceDefinition, cnpgClusterCrd)
  await client.create(CustomResourceDefinition, mailServerCrd)
  await startRunnerAgain()
})
after(async () => {
  await runner.stop(2_000)
  await client[Symbol.asyncDispose]()
  await api.close()
  await rm(dir, { recursive: true, force: true })
})

const mailServerCrd: KubeObject = {
  ...cnpgClusterCrd,
  metadata: { name: 'mailservers.mail.openova.io' },
  spec: {
    ...(cnpgClusterCrd.spec as object),
    group: 'mail.openova.io',
    names: { kind: 'MailServer', listKind: 'MailServerList', plural: 'mailservers', singular: 'mailserver' },
    versions: (cnpgClusterCrd.spec as { versions: object[] }).versions.map((version) => ({
      ...version,
      name: 'v1alpha1',
    })),
  },
}

async function startRunnerAgain(): Promise<void> {
  runner = await startRunner({
    client,
    directory: dir,
    repositoryRoot: join(dir, 'repository'),
    table: openProcessTable(join(dir, 'processes.json')),
    store: { endpoint: 'http://127.0.0.1:1', credentials: { accessKey: 'a', secretKey: 'b' }, async stop() {} },
    ports: openServicePorts(join(dir, 'ports.json'), { 7: 0 }, () => {}),
    metricsPort: 0,
    env: process.env,
    workers: 1,
    logger: silentLogger,
    progress: () => {},
  })
}

/** Waits for something to become true; the test's own timeout bounds it. */
async function until<T>(what: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (;;) {
    const result = await what()
    if (result) return result
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const labels = { app: 'toy' }
const deployment = (greeting: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'toy', namespace },
  spec: {
    replicas: 2,
    selector: { matchLabels: labels },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels },
      spec: {
        terminationGracePeriodSeconds: 5,
        containers: [
          {
            name: 'toy',
            image: 'toy',
            command: ['node', 'toy.mjs'],
            ports: [
              { name: 'line', containerPort: 7 },
              { name: 'jmap', containerPort: 8080 },
            ],
            env: [
              { name: 'MAIL_ROOT', value: '/etc/toy' },
              { name: 'GREETING', value: greeting },
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ],
            readinessProbe: { httpGet: { path: '/readyz', port: 'jmap' }, periodSeconds: 1 },
            volumeMounts: [{ name: 'secret', mountPath: '/etc/toy/secret' }],
          },
        ],
        volumes: [{ name: 'secret', secret: { secretName: 'toy-word' } }],
      },
    },
  },
})

const pods = async (): Promise<Pod[]> =>
  (await client.list<Pod>(PodResource, { namespace, labelSelector: 'app=toy' })).items
const readyNow = async (): Promise<Pod[]> => (await pods()).filter(isPodReady)

async function greetingFrom(): Promise<string> {
  const { line = 0 } = runner.localPorts({ namespace, name: 'toy' })
  const socket = connect({ host: '127.0.0.1', port: line })
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return String(chunk).trim()
}

test('a Deployment waits for its Secret, says so, and then runs behind its Service', { timeout: 30_000 }, async () => {
  await client.create(DeploymentResource, deployment('hello'))
  await client.create(ServiceResource, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'toy', namespace },
    spec: { type: 'LoadBalancer', selector: labels, ports: [{ name: 'line', port: 7, targetPort: 'line' }] },
  })
  await until(async () => JSON.stringify(await pods()).includes('secret \\"toy-word\\" not found'))
  const word = Buffer.from('sesame').toString('base64')
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'toy-word', namespace },
    data: { word },
  })
  await until(async () => (await readyNow()).length === 2)
  const status = await until(async () => {
    const live = await client.get<Deployment>(DeploymentResource, { namespace, name: 'toy' })
    return live.status?.availableReplicas === 2 && live.status
  })
  assert.equal(status.conditions?.find(({ type }) => type === 'Available')?.status, 'True')
  await until(() => runner.localPorts({ namespace, name: 'toy' }).line)
  const said = new Set(await Promise.all([greetingFrom(), greetingFrom(), greetingFrom(), greetingFrom()]))
  assert.equal(said.size, 2) // both replicas answer
  assert.match([...said][0] ?? '', / hello sesame$/)
  const slices = await client.list(EndpointSlice, { namespace, labelSelector: 'kubernetes.io/service-name=toy' })
  assert.equal(slices.items.length, 2)
  const service = await client.get(ServiceResource, { namespace, name: 'toy' })
  assert.match(JSON.stringify(service.status), /127\.0\.0\.1/)
})

test('a half-closed connection still gets its answer', { timeout: 10_000 }, async () => {
  const socket = connect({
    host: '127.0.0.1',
    port: runner.localPorts({ namespace, name: 'toy' }).line ?? 0,
    allowHalfOpen: true,
  })
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.end('my last words')
  await once(socket, 'end')
  socket.end()
  assert.match(received, /you said my last words$/)
})

test('metrics of all Pods are on one page', { timeout: 10_000 }, async () => {
  const page = await (await fetch(`http://127.0.0.1:${runner.metricsPort}/metrics`)).text()
  assert.equal(page.match(/^toy_total\{pod="toy-[^"]+",a="b"\} 1$/gm)?.length, 2)
  assert.equal(page.match(/# TYPE/g)?.length, 1)
})

test('a changed Secret reaches the running process', { timeout: 10_000 }, async () => {
  const data = { word: Buffer.from('changed').toString('base64') }
  await client.mergePatch(Secret, { namespace, name: 'toy-word' }, { data })
  await until(async () => (await greetingFrom()).endsWith(' hello changed'))
})

test('a killed process is started again and counted', { timeout: 20_000 }, async () => {
  const [pod] = await readyNow()
  process.kill(Number(pod?.metadata.annotations?.[PID_ANNOTATION]), 'SIGKILL')
  const again = await until(async () => {
    const now = (await readyNow()).find(({ metadata }) => metadata.uid === pod?.metadata.uid)
    return now?.status?.containerStatuses?.[0]?.restartCount === 1 && now
  })
  assert.notEqual(again.metadata.annotations?.[PID_ANNOTATION], pod?.metadata.annotations?.[PID_ANNOTATION])
})

test('a new template rolls without ever having fewer than two Ready', { timeout: 30_000 }, async () => {
  await client.apply(DeploymentResource, deployment('bonjour'), { fieldManager: 'test' })
  await until(async () => {
    const now = await pods()
    const ready = now.filter(isPodReady)
    assert.ok(ready.length >= 2, `only ${ready.length} Ready`)
    return now.length === 2 && now.every((pod) => JSON.stringify(pod.spec).includes('bonjour'))
  })
  assert.match(await greetingFrom(), / bonjour changed$/)
})

test('a deleted Pod stops gracefully and is replaced', { timeout: 20_000 }, async () => {
  const [pod] = await readyNow()
  const name = pod?.metadata.name ?? ''
  await client.delete(PodResource, { namespace, name })
  await until(
    async () => !(await pods()).some(({ metadata }) => metadata.name === name) && (await readyNow()).length === 2,
  )
  assert.match(await readFile(join(dir, 'pods', name, 'toy.log'), 'utf8'), /goodbye\n$/)
  assert.throws(() => process.kill(Number(pod?.metadata.annotations?.[PID_ANNOTATION]), 0))
})

test('scaling down and deleting the Deployment leaves nothing', { timeout: 20_000 }, async () => {
  await client.mergePatch(DeploymentResource, { namespace, name: 'toy' }, { spec: { replicas: 1 } })
  await until(async () => (await pods()).length === 1)
  await client.delete(DeploymentResource, { namespace, name: 'toy' })
  await until(async () => (await pods()).length === 0)
})
