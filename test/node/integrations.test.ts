/**
 * external-dns and the Prometheus operator, which are installed after the MailServer asked for them: their CRDs are real,
 * what they do is played by the test.
 */

import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import type { Pod } from './mail-server.ts'
import { leader } from './operator.ts'
import { applyCrds, applyMailServer, MAIL_SERVER, NAMESPACE } from './platform.ts'
import { publish } from './public-dns.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

const CRDS = [
  'dnsendpoints.externaldns.k8s.io',
  'podmonitors.monitoring.coreos.com',
  'prometheusrules.monitoring.coreos.com',
]
interface Endpoint {
  dnsName: string
  recordType: string
  recordTTL: number
  targets: string[]
}

step(
  'what is not installed is told, and is used without a restart of the operator once it is',
  async (platform, server) => {
    await platform.kubectl('delete', 'crd', '--ignore-not-found', ...CRDS)
    await applyMailServer(platform, {
      dns: { publish: 'ExternalDNS', ttlSeconds: 30 },
      monitoring: { podMonitor: { enabled: true }, prometheusRule: { enabled: true } },
    })
    for (const type of ['DNSReady', 'MonitoringReady']) {
      await eventually(`${type} to tell`, async () => (await server.condition(type)) === 'False CRDMissing')
    }
    await server.settled() // which mail works without
    const operator = await leader(platform)
    await applyCrds(platform, 'external-dns-dnsendpoints', 'prometheus-operator-podmonitors')
    await applyCrds(platform, 'prometheus-operator-prometheusrules')
    await eventually('the objects to be made', async () => {
      await server.reconcile()
      const get = ['-n', NAMESPACE, 'get', '-o', 'name']
      const found = await platform.kubectl(...get, 'dnsendpoints,podmonitors,prometheusrules')
      return found.trim().split('\n').length === 4
    })
    assert.equal(await server.condition('MonitoringReady'), 'True Applied')
    assert.equal(await leader(platform), operator)
  },
)

step('external-dns finds every record in the DNSEndpoint, and what it publishes is seen', async (platform, server) => {
  const get = ['-n', NAMESPACE, 'get', 'dnsendpoint', MAIL_SERVER]
  const { spec } = await platform.json<{ spec: { endpoints: Endpoint[] } }>(...get)
  // As a provider that writes zone files does: a text stands there as it was handed over.
  const absolute = (type: string, target: string) => (['MX', 'CNAME'].includes(type) ? `${target}.` : target)
  const lines = spec.endpoints.flatMap(({ dnsName, recordType, recordTTL, targets }) =>
    targets.map((target) => `${dnsName}. ${recordTTL} IN ${recordType} ${absolute(recordType, target)}`),
  )
  await publish(platform, `${lines.join('\n')}\n`)
  await server.reconcile()
  // Reverse DNS belongs to whoever owns the addresses, which is nobody here.
  const lacking = await eventually('the records to be seen', async () => {
    const unseen = ((await server.get()).status?.dns?.records ?? []).filter(({ state }) => state !== 'Published')
    return unseen.every(({ type }) => type === 'PTR') && unseen
  })
  assert.deepEqual(
    lacking.map(({ state }) => state),
    ['Missing'],
  )
  assert.equal(await server.condition('DNSReady'), 'False RecordsMissing')
})

step('Prometheus finds the metrics of engines and database where the PodMonitors say', async (platform) => {
  const get = ['-n', NAMESPACE, 'get']
  for (const [name, metric, count] of [
    [MAIL_SERVER, 'stalwart_messages_received_total', 2],
    [`${MAIL_SERVER}-db`, 'cnpg_collector_up', 3],
  ] as const) {
    const { spec } = await platform.json<{
      spec: {
        selector: { matchLabels: Record<string, string> }
        podMetricsEndpoints: { port: string; path?: string }[]
      }
    }>(...get, 'podmonitor', name)
    const selector = Object.entries(spec.selector.matchLabels).map((label) => label.join('='))
    const { items } = await platform.json<{ items: MonitoredPod[] }>(...get, 'pods', '-l', selector.join())
    assert.equal(items.length, count)
    const [endpoint] = spec.podMetricsEndpoints
    for (const { spec: pod, status } of items) {
      const ports = pod.containers.flatMap((container) => container.ports ?? [])
      const port = ports.find((candidate) => candidate.name === endpoint?.port)?.containerPort
      const answer = await fetch(`http://${status.podIP}:${port}${endpoint?.path ?? '/metrics'}`)
      assert.match(await answer.text(), new RegExp(`^# TYPE ${metric} `, 'm'))
    }
  }
})

interface MonitoredPod extends Pick<Pod, 'status'> {
  spec: { containers: { ports?: { name?: string; containerPort: number }[] }[] }
}
