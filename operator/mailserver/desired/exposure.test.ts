import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextOf } from '../testing/context.ts'
import { httpRoutes, ingress } from './exposure.ts'

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
const routesOf = (...domains: string[]) =>
  httpRoutes(contextOf({ gateway: { name: 'public' }, domains: domains.map((name) => ({ name })) }))
const routeSpec = () => routesOf('example.org')[0]?.spec as RouteSpec

test('every HTTP name is served, under the certificate of the server', () => {
  assert.deepEqual(
    ingressSpec().rules.map(({ host }) => host),
    HOSTS,
  )
  assert.deepEqual(ingressSpec().tls, [{ hosts: HOSTS, secretName: 'stalwart-tls' }])
  assert.deepEqual(routeSpec().hostnames, HOSTS)
})

test('each name is under the certificate that it is in', () => {
  const domains = Array.from({ length: 40 }, (_, index) => ({ name: `d${index}.example` }))
  const context = contextOf({ ingress: {}, domains, tls: { issuerRef: { name: 'letsencrypt' } } })
  const { tls, rules } = (ingress(context) as { spec: IngressSpec }).spec
  assert.deepEqual(
    tls.map(({ hosts, secretName }) => [secretName, hosts.length]),
    [
      ['stalwart-tls', 100],
      ['stalwart-tls-2', 21],
    ],
  )
  assert.deepEqual(tls.flatMap(({ hosts }) => hosts).toSorted(), rules.map(({ host }) => host).toSorted())
})

test('more names than an HTTPRoute may have are spread over several', () => {
  const domains = Array.from({ length: 11 }, (_, index) => `d${index}.example`)
  const routes = routesOf(...domains)
  assert.deepEqual(
    routes.map(({ metadata }) => metadata.name),
    ['stalwart-http', 'stalwart-http-2', 'stalwart-http-3'],
  )
  const hostnames = routes.map(({ spec }) => (spec as RouteSpec).hostnames)
  assert.ok(hostnames.every(({ length }) => length <= 16))
  assert.equal(new Set(hostnames.flat()).size, 1 + 3 * domains.length)
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
  assert.deepEqual(httpRoutes(contextOf()), [])
})
