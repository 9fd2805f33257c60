import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { KubeApi } from '../../kube/client.ts'
import {
  Deployment as DeploymentResource,
  EndpointSlice,
  Pod as PodResource,
  Secret,
  Service as ServiceResource,
} from '../../kube/resources.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type Deployment, isPodReady, PID_ANNOTATION, type Pod } from './objects.ts'
import { startTestRunner, type TestRunner, until } from './testing/runner.ts'

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
let at: TestRunner
let client: KubeApi
before(async () => {
  at = await startTestRunner({ 'toy.mjs': TOY })
  client = at.client
})
after(() => at[Symbol.asyncDispose]())

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
  const { line = 0 } = at.runner.localPorts({ namespace, name: 'toy' })
  const socket = connect({ host: '127.0.0.1', port: line })
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return String(chunk).trim()
}

test('a Deployment waits for its Secret, says so, and then runs behind its Service', async () => {
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
  await until(() => at.runner.localPorts({ namespace, name: 'toy' }).line)
  const said = new Set<string>()
  await until(async () => {
    // The forward hears of each endpoint as we do, and not before us.
    const greeting = await greetingFrom().catch(() => undefined)
    return greeting !== undefined && said.add(greeting).size === 2
  })
  for (const greeting of said) assert.match(greeting, / hello sesame$/)
  await until(async () => {
    const labelSelector = 'kubernetes.io/service-name=toy'
    return (await client.list(EndpointSlice, { namespace, labelSelector })).items.length === 2
  })
  await until(async () => {
    const { status } = await client.get(ServiceResource, { namespace, name: 'toy' })
    return JSON.stringify(status)?.includes('127.0.0.1')
  })
})

test('a half-closed connection still gets its answer', async () => {
  const socket = connect({
    host: '127.0.0.1',
    port: at.runner.localPorts({ namespace, name: 'toy' }).line ?? 0,
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

test('metrics of all Pods are on one page', async () => {
  const page = await (await fetch(`http://127.0.0.1:${at.runner.metricsPort}/metrics`)).text()
  assert.equal(page.match(/^toy_total\{pod="toy-[^"]+",a="b"\} 1$/gm)?.length, 2)
  assert.equal(page.match(/# TYPE/g)?.length, 1)
})

test('a changed Secret reaches the running process', async () => {
  const data = { word: Buffer.from('changed').toString('base64') }
  await client.mergePatch(Secret, { namespace, name: 'toy-word' }, { data })
  await until(async () => (await greetingFrom()).endsWith(' hello changed'))
})

test('a killed process is started again and counted', async () => {
  const [pod] = await readyNow()
  process.kill(Number(pod?.metadata.annotations?.[PID_ANNOTATION]), 'SIGKILL')
  const again = await until(async () => {
    const now = (await readyNow()).find(({ metadata }) => metadata.uid === pod?.metadata.uid)
    return now?.status?.containerStatuses?.[0]?.restartCount === 1 && now
  })
  assert.notEqual(again.metadata.annotations?.[PID_ANNOTATION], pod?.metadata.annotations?.[PID_ANNOTATION])
})

test('a new template rolls without ever having fewer than two Ready', async () => {
  await client.apply(DeploymentResource, deployment('bonjour'), { fieldManager: 'test' })
  await until(async () => {
    const now = await pods()
    const ready = now.filter(isPodReady)
    assert.ok(ready.length >= 2, `only ${ready.length} Ready`)
    return now.length === 2 && now.every((pod) => JSON.stringify(pod.spec).includes('bonjour'))
  })
  assert.match(await greetingFrom(), / bonjour changed$/)
})

test('a deleted Pod stops gracefully and is replaced', async () => {
  const [pod] = await readyNow()
  const name = pod?.metadata.name ?? ''
  await client.delete(PodResource, { namespace, name })
  await until(
    async () => !(await pods()).some(({ metadata }) => metadata.name === name) && (await readyNow()).length === 2,
  )
  assert.match(await readFile(join(at.directory, 'pods', name, 'toy.log'), 'utf8'), /goodbye\n$/)
  assert.throws(() => process.kill(Number(pod?.metadata.annotations?.[PID_ANNOTATION]), 0))
})

test('scaling down and deleting the Deployment leaves nothing', async () => {
  await client.mergePatch(DeploymentResource, { namespace, name: 'toy' }, { spec: { replicas: 1 } })
  await until(async () => (await pods()).length === 1)
  await client.delete(DeploymentResource, { namespace, name: 'toy' })
  await until(async () => (await pods()).length === 0)
})
