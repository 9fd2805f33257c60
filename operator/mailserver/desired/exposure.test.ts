import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { httpRoute, ingress } from './exposure.ts'

interface IngressSpec {
  tls: { hosts: string[]; secretName: string }[]
  rules: { host: string; http: { paths: { path: string; pathType: string }[] } }[]
}
interface RouteSpec {
  hostnames: string[]
  rules: { matches: { path: { type: string; value: string } }[] }[]
}

const HOSTS = ['mail.example.org', 'mta-sts.example.org', 'autoconfig.example.org', 'autodiscover.example.org']
const ingressSpec = () => ingress(contextOf({ ingress: {} }))?.spec as IngressSpec
const routeSpec = () => httpRoute(contextOf({ gateway: { name: 'public' } }))?.spec as RouteSpec

test('every HTTP name is served, under the certificate of the server', () => {
  assert.deepEqual(
    ingressSpec().rules.map(({ host }) => host),
    HOSTS,
  )
  assert.deepEqual(ingressSpec().tls, [{ hosts: HOSTS, secretName: 'stalwart-tls' }])
  assert.deepEqual(routeSpec().hostnames, HOSTS)
})

/** Both kinds match a prefix element by element: /jmap is not /jmapx (Ingress Prefix, Gateway API PathPrefix). */
const matches = (prefixes: string[], path: string) =>
  prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))

for (const [kind, hosts] of [
  ['Ingress', () => ingressSpec().rules.map(({ http }) => http.paths.map(({ path }) => path))],
  ['HTTPRoute', () => [routeSpec().rules.flatMap((rule) => rule.matches.map(({ path }) => path.value))]],
] as const) {
  test(`${kind}: what programs ask is public`, () => {
    for (const prefixes of hosts())
      for (const path of [
        '/.well-known/jmap',
        '/jmap/api/',
        '/jmap/eventsource/',
        '/.well-known/mta-sts.txt',
        '/.well-known/autoconfig/mail/config-v1.1.xml',
        '/mail/config-v1.1.xml',
        '/autodiscover/autodiscover.xml',
        '/Autodiscover/Autodiscover.xml',
      ])
        assert.ok(matches(prefixes, path), path)
  })

  test(`${kind}: metrics, health and the admin API are not`, () => {
    for (const prefixes of hosts())
      for (const path of ['/', '/metrics', '/healthz', '/readyz', '/admin/v1/accounts'])
        assert.equal(matches(prefixes, path), false, path)
  })
}

test('nothing unless asked for', () => {
  assert.equal(ingress(contextOf()), undefined)
  assert.equal(httpRoute(contextOf()), undefined)
})
