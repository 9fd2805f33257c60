import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { httpService, mailService } from './services.ts'

interface Spec {
  type: string
  selector: Record<string, string>
  ports: { name: string; port: number; targetPort: string }[]
  externalTrafficPolicy?: string
  loadBalancerSourceRanges?: string[]
}
const specOf = (object: { spec?: unknown }) => object.spec as Spec
const portsOf = (object: { spec?: unknown }) =>
  specOf(object).ports.map(({ name, port, targetPort }) => `${name} ${port} ${targetPort}`)

test('mail is a load balancer that keeps the client’s address', () => {
  const { type, externalTrafficPolicy } = specOf(mailService(contextOf()))
  assert.deepEqual([type, externalTrafficPolicy], ['LoadBalancer', 'Local'])
  assert.deepEqual(portsOf(mailService(contextOf())), [
    'smtp 25 smtp',
    'smtps 465 smtps',
    'submission 587 submission',
    'imaps 993 imaps',
  ])
})

test('HTTPS for the world is at port 443 of the mail Service, where it is asked for', () => {
  const context = contextOf({ service: { https: true } })
  assert.deepEqual(portsOf(mailService(context)).at(-1), 'https 443 https')
  assert.deepEqual(portsOf(httpService(context)), ['http 8080 jmap', 'https 443 jmap'])
})

test('a ClusterIP has nothing that only external Services may have', () => {
  const spec = specOf(
    mailService(contextOf({ service: { type: 'ClusterIP', loadBalancerSourceRanges: ['192.0.2.0/24'] } })),
  )
  assert.deepEqual([spec.externalTrafficPolicy, spec.loadBalancerSourceRanges], [undefined, undefined])
})

test('HTTP stays inside, plain and with TLS', () => {
  assert.equal(specOf(httpService(contextOf())).type, 'ClusterIP')
  assert.deepEqual(portsOf(httpService(contextOf())), ['http 8080 jmap', 'https 443 jmap'])
})

test('the selector is name and instance only, for ever', () => {
  const selector = { 'app.kubernetes.io/name': 'mail-engine', 'app.kubernetes.io/instance': 'stalwart' }
  for (const service of [mailService, httpService]) assert.deepEqual(specOf(service(contextOf())).selector, selector)
})
