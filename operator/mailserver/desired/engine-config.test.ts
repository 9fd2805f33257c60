import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mtaStsPolicy } from '../../../server/autoconfig/mta-sts.ts'
import { parseEngineConfig } from '../../../server/config.ts'
import { contextOf, EVERYTHING } from '../testing/context.ts'
import { recordsOf } from './dns-endpoint.ts'
import { engineConfig, engineConfigMap } from './engine-config.ts'

const parsed = (...given: Parameters<typeof contextOf>) => parseEngineConfig(engineConfig(contextOf(...given)))

test('the engine understands a minimal MailServer', () => {
  const config = parsed()
  assert.equal(config.hostname, 'mail.example.org')
  assert.deepEqual(config.storage, { driver: 'postgres' })
  assert.deepEqual(config.domains, [
    {
      name: 'example.org',
      dkim: [
        { selector: 'default', algorithm: 'rsa-sha256', keyFile: 'dkim/example.org.default.pem' },
        { selector: 'ed25519', algorithm: 'ed25519-sha256', keyFile: 'dkim/example.org.ed25519.pem' },
      ],
    },
  ])
})

test('what the spec says reaches the engine', () => {
  const config = parsed(EVERYTHING)
  assert.deepEqual(config.storage, {
    driver: 's3',
    endpoint: 'https://s3.example',
    region: 'us-east-1',
    bucket: 'mail-bytes',
    pathStyle: true,
    prefix: 'stalwart/',
    credentialsDir: 's3',
    caFile: 's3-ca/ca.crt',
    inlineMaxBytes: 131_072,
  })
  assert.deepEqual(config.proxyProtocol.trustedNetworks, ['192.0.2.0/24'])
  assert.deepEqual(config.dnsServers, ['192.0.2.53'])
  assert.equal(config.limits.messageBytes, 10_485_760)
  assert.equal(config.limits.databaseConnections, 20)
  assert.equal(config.spam.greylisting.delayMs, 120_000)
  assert.deepEqual(config.spam.dnsbl, [{ zone: 'zen.dnsbl.example', score: 3 }])
  assert.deepEqual(config.outbound.relay, {
    host: 'smtp.relay.example',
    port: 587,
    tls: 'starttls',
    credentialsDir: 'relay',
  })
  assert.deepEqual(config.outbound.retryDelaysMs, [60_000, 600_000])
  assert.equal(config.outbound.expireMs, 172_800_000)
  assert.equal(config.logLevel, 'debug')
})

test('defaults of the API are the defaults of the engine', () => {
  const { spam, outbound } = parsed()
  const engine = parseEngineConfig({ hostname: 'a.example', domains: [{ name: 'a.example' }] })
  assert.deepEqual(spam, engine.spam)
  assert.deepEqual(outbound, engine.outbound)
})

test('tests may deliver to a sink on loopback', () => {
  const config = parsed({
    outbound: { mxPort: 2626, allowPrivateAddresses: true },
    dns: { resolvers: ['127.0.0.1:5353'] },
  })
  assert.equal(config.outbound.mxPort, 2626)
  assert.equal(config.outbound.allowPrivateAddresses, true)
  assert.deepEqual(config.dnsServers, ['127.0.0.1:5353'])
})

test('the endpoint comes from the credentials Secret where the spec has none, without a trailing slash', () => {
  const s3 = { bucket: 'mail', credentialsSecretRef: { name: 's3' } }
  const { storage } = parsed({ storage: { s3 } }, { s3Endpoint: 'http://10.0.0.1:9000/' })
  assert.equal(storage.driver === 's3' && storage.endpoint, 'http://10.0.0.1:9000')
})

test('the ConfigMap is text that changes only with what it says', () => {
  const text = () => engineConfigMap(contextOf(EVERYTHING))?.data?.['config.json']
  assert.equal(text(), text())
  parseEngineConfig(JSON.parse(text() ?? ''))
})

test('the MTA-STS record has a new id exactly when the engine serves a new policy (RFC 8461 §3.1)', () => {
  const of = (spec: Parameters<typeof contextOf>[0]) => {
    const context = contextOf(spec)
    const record = recordsOf(context.spec, context.facts).find(({ value }) => value.startsWith('v=STSv1'))
    assert.match(record?.value ?? '', /^v=STSv1; id=[0-9a-z]{1,32}$/)
    return { id: record?.value, policy: mtaStsPolicy(parsed(spec)) }
  }
  const first = of({})
  const second = { name: 'second.example', dmarc: { policy: 'none' as const } }
  for (const spec of [
    { hostname: 'mx.example.net' },
    { dns: { mtaSts: 'testing' as const } },
    { domains: [{ name: 'example.org' }, second] },
    { dns: { ttlSeconds: 60 } },
    { replicas: 5 },
  ]) {
    const { id, policy } = of(spec)
    assert.equal(id === first.id, policy === first.policy, JSON.stringify(spec))
  }
  assert.notEqual(of({ hostname: 'mx.example.net' }).policy, first.policy)
})
