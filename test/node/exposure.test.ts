/**
 * Every way in that the node allows, on a live MailServer, and whether it still tells who the client is. The controllers
 * of Ingress and Gateway are played by the test: it writes their statuses and goes where they would lead.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { MailServerSpecInput } from '../../operator/api/mail-server-spec.ts'
import { eventually } from './eventually.ts'
import { DOMAIN, HOSTNAME, type MailServerUnderTest, type Service } from './mail-server.ts'
import { proxyV1, proxyV2, receivedFrom, sendOne, type Way } from './one-message.ts'
import { applyCrds, applyMailServer, MAIL_SERVER, NAMESPACE, type Platform } from './platform.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

const BOB = `bob@${DOMAIN}`
const HTTP = `${MAIL_SERVER}-http`
/** This machine as the node sees it, and the node. */
const CLIENT = '10.199.0.1'
const NODE = '10.199.0.2'

/** Sends to Bob, and says what the server takes for the client's address. */
async function clientOf(server: MailServerUnderTest, way: Way, imapHost?: string): Promise<string> {
  return receivedFrom(await server.mailbox('bob', imapHost), await sendOne(way, BOB))
}

const VARIANTS: {
  service: MailServerSpecInput['service']
  ways: (service: Service) => (Way & { tells: boolean })[]
}[] = [
  {
    service: { type: 'ClusterIP' },
    // kube-proxy hides who comes from outside of the cluster to such an address.
    ways: ({ spec }) => [{ host: spec.clusterIP, tells: false }],
  },
  {
    service: { type: 'NodePort', externalTrafficPolicy: 'Cluster' },
    ways: (service) => [{ host: NODE, port: nodePort(service), tells: false }],
  },
  {
    service: { type: 'NodePort', externalTrafficPolicy: 'Local' },
    ways: (service) => [{ host: NODE, port: nodePort(service), tells: true }],
  },
  {
    service: { type: 'LoadBalancer', externalTrafficPolicy: 'Cluster' },
    ways: (service) => [
      { host: balancer(service), tells: false },
      { host: NODE, port: nodePort(service), tells: false },
    ],
  },
  {
    service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
    ways: (service) => [
      { host: balancer(service), tells: true },
      { host: NODE, port: nodePort(service), tells: true },
    ],
  },
]
const nodePort = ({ spec }: Service) => spec.ports.find(({ name }) => name === 'smtp')?.nodePort ?? 0
const balancer = ({ status }: Service) => status.loadBalancer.ingress?.[0]?.ip ?? ''

for (const { service, ways } of VARIANTS) {
  const { type = '', externalTrafficPolicy: policy } = service ?? {}
  const name = policy ? `${type} with externalTrafficPolicy ${policy}` : type
  step(`${name}: mail comes in, and the client’s address where it can`, async (platform, server) => {
    await applyMailServer(platform, { service })
    await server.settled()
    assert.equal(await server.condition('NetworkReady'), `True ${type === 'LoadBalancer' ? 'AddressAssigned' : type}`)
    const exposed = await server.service()
    assert.equal(exposed.spec.type, type)
    const addresses = type === 'LoadBalancer' ? [balancer(exposed)] : []
    assert.deepEqual((await server.get()).status?.addresses, addresses)
    for (const { tells, ...way } of ways(exposed)) {
      // Reading mail is the same everywhere, so it goes the way that every variant has. kube-proxy follows the Service in
      // its own time.
      await eventually(`mail by ${way.host} to ${tells ? 'show' : 'hide'} the client`, async () => {
        const seen = await clientOf(server, way, exposed.spec.clusterIP)
        if ((seen === CLIENT) !== tells) throw new Error(`${way.host} shows ${seen}`)
        return true
      })
    }
  })
}

step('a PROXY header is believed from a trusted network, and from no other', async (platform, server) => {
  await applyMailServer(platform, { service: { proxyProtocol: { trustedNetworks: [`${CLIENT}/32`] } } })
  await server.settled()
  await server.nudge()
  const host = await server.address()
  const seen = await eventually('version 1 to be believed', async () => {
    const client = await clientOf(server, { host, opening: proxyV1('198.51.100.7') }).catch(() => undefined)
    return client === '198.51.100.7' && client
  })
  assert.equal(seen, '198.51.100.7')
  // Every worker of every engine has read the new configuration by now or soon.
  await eventually('version 2 to be believed by all', async () => {
    const clients = await Promise.all(
      Array.from({ length: 8 }, () => clientOf(server, { host, opening: proxyV2('203.0.113.9') })),
    )
    return clients.every((client) => client === '203.0.113.9')
  })
  // A Pod's own address is in no trusted network: there the header is one more unknown command. It waits for the greeting,
  // because who talks sooner is turned away for that alone.
  const [from, to] = await server.readyEngines(2)
  const said = await platform.kubectl(
    ...['-n', NAMESPACE, 'exec', from?.metadata.name ?? '', '--', 'node', '-e'],
    `const socket = require('node:net').connect(25, '${to?.status.podIP}')
     socket.once('data', () => socket.write(${JSON.stringify(proxyV1('198.51.100.7'))} + 'QUIT\\r\\n'))
     socket.on('data', (data) => process.stdout.write(data))`,
  )
  const [greeting, reply, bye] = said.split('\r\n')
  assert.match(greeting ?? '', /^220 /)
  assert.match(reply ?? '', /^5\d\d /)
  assert.match(bye ?? '', /^221 /)
})

step(
  'without the trust the header is refused from everywhere, and the true address counts again',
  async (platform, server) => {
    await applyMailServer(platform)
    await server.settled()
    await server.nudge()
    const host = await server.address()
    await eventually('mail without a header', async () => (await clientOf(server, { host })) === CLIENT)
    await eventually('the header to be refused by all', async () => {
      const tries = Array.from({ length: 8 }, () => sendOne({ host, opening: proxyV1('198.51.100.7') }, BOB))
      return (await Promise.allSettled(tries)).every(({ status }) => status === 'rejected')
    })
  },
)

step(
  'an Ingress leads every public HTTP name to the engine, with the server’s certificate',
  async (platform, server) => {
    await applyMailServer(platform, { ingress: { className: 'played' } })
    const get = ['-n', NAMESPACE, 'get', 'ingress', HTTP]
    await platform.kubectl('-n', NAMESPACE, 'wait', `ingress/${HTTP}`, '--for=create', '--timeout=60s')
    const { spec } = await platform.json<IngressSpec>(...get)
    const told = { status: { loadBalancer: { ingress: [{ ip: '203.0.113.80' }] } } }
    await platform.kubectl(
      ...[
        '-n',
        NAMESPACE,
        'patch',
        'ingress',
        HTTP,
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify(told),
      ],
    )
    const names = [`mta-sts.${DOMAIN}`, `autoconfig.${DOMAIN}`, `autodiscover.${DOMAIN}`]
    await eventually('DNS to lead there', async () => {
      const records = (await server.get()).status?.dns?.records ?? []
      return names.every((name) =>
        records.some((record) => record.type === 'A' && record.name === name && record.value === '203.0.113.80'),
      )
    })
    const [tls] = spec.tls
    assert.deepEqual(tls?.hosts.toSorted(), [HOSTNAME, ...names].toSorted())
    const ca = (await server.secret(tls?.secretName ?? ''))['ca.crt'] ?? ''
    const inside = (await server.service(HTTP)).spec
    const address = inside.clusterIP
    for (const [host, path, answer] of ASKED) {
      const rule = spec.rules.find((candidate) => candidate.host === host)
      const found = rule?.http.paths.find((candidate) => `${path}/`.startsWith(`${candidate.path}/`))
      const name = found?.backend.service.port.name
      const port = inside.ports.find((candidate) => candidate.name === name)?.port
      assert.equal(port && (await statusOf({ address, port, host, path })), answer, `${host}${path}`)
      // Port 443 of the Service is the same engine, by TLS.
      if (answer) assert.equal(await statusOf({ address, port: 443, host, path, ca }), answer)
    }
  },
)

step('routes to a Gateway wait for its word, then lead HTTP, mail and DNS to the engine', async (platform, server) => {
  const crds = ['gateways', 'httproutes', 'tcproutes'].map((plural) => `${plural}.gateway.networking.k8s.io`)
  await platform.kubectl('delete', 'crd', '--ignore-not-found', ...crds)
  await applyMailServer(platform, { gateway: { name: 'public', httpSection: 'https', mail: true } })
  await eventually('the absence to be told', async () => (await server.condition('RoutesReady')) === 'False CRDMissing')
  await server.settled() // which mail works without
  await applyCrds(platform, 'gateway-api-gateways', 'gateway-api-httproutes', 'gateway-api-tcproutes')
  await eventually('the Gateway to be missed', async () => {
    await server.reconcile()
    return (await server.condition('RoutesReady')) === 'False GatewayMissing'
  })
  await makeGateway(platform, '203.0.113.81')
  await eventually('the routes to wait', async () => (await server.condition('RoutesReady')) === 'False NotAccepted')
  // Until mail is led on, the host name stays with the load balancer.
  assert.deepEqual((await server.get()).status?.addresses, [await server.address()])
  const routes = await routesOf(platform)
  assert.deepEqual(routes.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort(), [
    `HTTPRoute ${HTTP}`,
    ...['imaps', 'smtp', 'smtps', 'submission'].map((section) => `TCPRoute ${MAIL_SERVER}-${section}`),
  ])
  for (const route of routes) await accept(platform, route)
  await eventually('the routes to be accepted', async () => (await server.condition('RoutesReady')) === 'True Accepted')
  const { addresses, dns } = (await server.get()).status ?? {}
  assert.deepEqual(addresses, ['203.0.113.81'])
  const led = dns?.records?.filter(({ type, value }) => type === 'A' && value === '203.0.113.81')
  const names = [HOSTNAME, `autoconfig.${DOMAIN}`, `autodiscover.${DOMAIN}`, `mta-sts.${DOMAIN}`]
  assert.deepEqual(led?.map(({ name }) => name).toSorted(), names.toSorted())

  const smtp = routes.find(({ spec }) => spec.parentRefs[0]?.sectionName === 'smtp')
  const [backend] = smtp?.spec.rules[0]?.backendRefs ?? []
  const { spec } = await server.service(backend?.name ?? '')
  await clientOf(server, { host: spec.clusterIP, port: backend?.port ?? 0 })
  const http = routes.find(({ kind }) => kind === 'HTTPRoute')
  const [web] = http?.spec.rules[0]?.backendRefs ?? []
  const address = (await server.service(web?.name ?? '')).spec.clusterIP
  assert.equal(await statusOf({ address, port: web?.port ?? 0, host: HOSTNAME, path: '/.well-known/jmap' }), 401)

  await applyMailServer(platform)
  await eventually('the routes to be withdrawn', async () => (await routesOf(platform)).length === 0)
  assert.equal(await server.condition('RoutesReady'), undefined)
})

/** What the world asks, and the engine's answer; undefined: it never gets that far. */
const ASKED: [host: string, path: string, status: number | undefined][] = [
  [`mta-sts.${DOMAIN}`, '/.well-known/mta-sts.txt', 200],
  [`autoconfig.${DOMAIN}`, '/mail/config-v1.1.xml', 200],
  [`autoconfig.${DOMAIN}`, '/.well-known/autoconfig/mail/config-v1.1.xml', 200],
  [`autodiscover.${DOMAIN}`, '/autodiscover/autodiscover.xml', 405], // it is asked by POST
  [HOSTNAME, '/.well-known/jmap', 401],
  [HOSTNAME, '/jmap/session', 401],
  [HOSTNAME, '/metrics', undefined],
  [HOSTNAME, '/admin/v1/accounts/bob@example.test', undefined],
]

/** @param ask with `ca` by TLS, verified */
async function statusOf(ask: {
  address: string
  port: number
  host: string
  path: string
  ca?: string
}): Promise<number> {
  const { address, port, host, path, ca } = ask
  const options = { host: address, port, path, headers: { host } }
  const request = ca === undefined ? http.get(options) : https.get({ ...options, servername: host, ca })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.resume()
  return response.statusCode ?? 0
}

interface IngressSpec {
  spec: {
    tls: { hosts: string[]; secretName: string }[]
    rules: { host: string; http: { paths: { path: string; backend: { service: { port: { name: string } } } }[] } }[]
  }
}
interface Route {
  kind: 'HTTPRoute' | 'TCPRoute'
  metadata: { name: string; generation: number }
  spec: { parentRefs: { sectionName?: string }[]; rules: { backendRefs: { name: string; port: number }[] }[] }
}

async function routesOf({ json }: Platform): Promise<Route[]> {
  return (await json<{ items: Route[] }>('-n', NAMESPACE, 'get', 'httproutes,tcproutes')).items
}

/** With the listeners that a MailServer asks for, and its controller's word that they work. */
async function makeGateway({ apply, kubectl }: Platform, address: string): Promise<void> {
  const sections = ['https', 'smtp', 'smtps', 'submission', 'imaps']
  const listeners = sections.map((name, index) => ({
    ...{ name, port: 8000 + index },
    protocol: name === 'https' ? 'HTTP' : 'TCP',
  }))
  const metadata = { name: 'public', namespace: NAMESPACE }
  const gateway = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata }
  await apply(JSON.stringify({ ...gateway, spec: { gatewayClassName: 'played', listeners } }))
  const conditions = ['Accepted', 'Programmed'].map((type) => ({
    ...{ type, status: 'True', reason: type, message: '', lastTransitionTime: new Date().toISOString() },
  }))
  const status = { addresses: [{ type: 'IPAddress', value: address }], conditions }
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]
  await kubectl('-n', NAMESPACE, 'patch', 'gateway', 'public', ...patch)
}

async function accept({ kubectl }: Platform, { kind, metadata, spec }: Route): Promise<void> {
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: type,
    message: '',
    observedGeneration: metadata.generation,
    lastTransitionTime: new Date().toISOString(),
  })
  const conditions = ['Accepted', 'ResolvedRefs'].map(condition)
  const parents = spec.parentRefs.map((parentRef) => ({
    parentRef,
    controllerName: 'test.openova.io/played',
    conditions,
  }))
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { parents } })]
  await kubectl('-n', NAMESPACE, 'patch', kind.toLowerCase(), metadata.name, ...patch)
}
