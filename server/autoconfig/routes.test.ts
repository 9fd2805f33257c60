import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { parseEngineConfig } from '../config.ts'
import { createHttpMetrics } from '../http/metrics.ts'
import { createHttpServer } from '../http/server.ts'
import { autoconfigRoutes } from './routes.ts'

const registry = new Registry()
const http = createHttpServer({ metrics: createHttpMetrics(registry), log: pino({ level: 'silent' }) })
const config = parseEngineConfig({
  hostname: 'mail.example.org',
  domains: [{ name: 'example.org' }, { name: 'second.example' }],
  mtaSts: { mode: 'testing' },
})
http.routes.push(...autoconfigRoutes({ config, now: () => new Date('2026-03-01T12:00:00Z') }))
const server = createServer().removeAllListeners('connection')
server.on('connection', (socket) => http.serve(socket, { remoteAddress: '127.0.0.1', peerAddress: '127.0.0.1' }))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
after(async () => {
  server.close()
  await http[Symbol.asyncDispose]()
})

interface Ask {
  method?: string
  host?: string
  body?: string
}

async function ask(path: string, { method = 'GET', host = 'mail.example.org', body = '' }: Ask = {}) {
  const asked = request({ port, host: '127.0.0.1', path, method, agent: false, headers: { Host: host } })
  asked.end(body)
  const [response] = await once(asked, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const { statusCode, headers } = response
  return { status: statusCode, type: String(headers['content-type']), text: Buffer.concat(chunks).toString(), headers }
}

const MTA_STS = '/.well-known/mta-sts.txt'
const testdata = (name: string) => readFileSync(join(import.meta.dirname, 'testdata', name), 'utf8')
const tagged = (text: string, name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]

test('the MTA-STS policy of a domain (RFC 8461 §3.2)', async () => {
  const { status, type, text } = await ask(MTA_STS, { host: 'mta-sts.example.org' })
  assert.equal(status, 200)
  assert.equal(type, 'text/plain')
  assert.equal(text, 'version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 604800\r\n')
})

for (const [host, status] of [
  ['MTA-STS.Second.Example:443', 200],
  ['mta-sts.example.org.', 200],
  ['mail.example.org', 404],
  ['example.org', 404],
  ['mta-sts.example.com', 404],
  ['mta-sts.sub.example.org', 404],
  ['mta-sts.', 404],
] as const)
  test(`the MTA-STS policy asked at ${host} is answered ${status}`, async () =>
    assert.equal((await ask(MTA_STS, { host })).status, status))

for (const path of ['/mail/config-v1.1.xml', '/.well-known/autoconfig/mail/config-v1.1.xml'])
  test(`Thunderbird finds its settings at ${path}`, async () => {
    const { status, type, text } = await ask(`${path}?emailaddress=ann%40second.example`)
    assert.equal(status, 200)
    assert.match(type, /^application\/xml/)
    assert.equal(text, testdata('thunderbird.xml'))
  })

for (const [what, query, host, want] of [
  ['of the address’s domain', '?emailaddress=Ann@Example.ORG', 'autoconfig.second.example', 'example.org'],
  ['of the host’s domain without an address', '', 'autoconfig.second.example', 'second.example'],
  ['of the domain itself', '', 'second.example', 'second.example'],
  ['of the first domain at a port forward', '', 'localhost:8080', 'example.org'],
] as const)
  test(`the settings are those ${what}`, async () => {
    const { text } = await ask(`/mail/config-v1.1.xml${query}`, { host })
    assert.equal(tagged(text, 'domain'), want)
  })

test('a foreign domain has no settings, and somebody unknown of ours has the same as everybody', async () => {
  const of = (address: string) => ask(`/mail/config-v1.1.xml?emailaddress=${address}`)
  assert.equal((await of('ann@example.com')).status, 404)
  assert.equal((await of('no-address')).status, 404)
  assert.equal((await of('ann@example.org')).text, (await of('%3Cb%3E@example.org')).text)
})

const OUTLOOK = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'
const posted = (address: string, schema = OUTLOOK) =>
  `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>${address}</EMailAddress>
    <AcceptableResponseSchema>${schema}</AcceptableResponseSchema>
  </Request>
</Autodiscover>`

for (const path of ['/autodiscover/autodiscover.xml', '/Autodiscover/Autodiscover.xml'])
  test(`Outlook finds its settings at ${path}`, async () => {
    const { status, text } = await ask(path, { method: 'POST', body: posted('ann@example.org') })
    assert.equal(status, 200)
    assert.equal(text, testdata('autodiscover.xml'))
  })

const outlook = (body: string) => ask('/autodiscover/autodiscover.xml', { method: 'POST', body })

for (const [what, body, login] of [
  ['prefixes and attributes', '<a:Request><a:EMailAddress x="1">ann@example.org</a:EMailAddress>', 'ann@example.org'],
  ['white space', '<EMailAddress>\r\n ann@example.org\t</EMailAddress>', 'ann@example.org'],
  ['entities', posted('a&amp;b@example.org'), 'a&#38;b@example.org'],
  ['markup in entities', posted('&lt;b&gt;&quot;@example.org'), '&#60;b&#62;&#34;@example.org'],
] as const)
  test(`Autodiscover reads ${what}, and writes it escaped`, async () =>
    assert.equal(tagged((await outlook(body)).text, 'LoginName'), login))

for (const [what, body, code] of [
  ['no XML', 'EMailAddress=ann@example.org', '600'],
  ['an empty body', '', '600'],
  ['an address that is none', posted('ann'), '600'],
  ['ActiveSync', posted('ann@example.org', OUTLOOK.replace('outlook', 'mobilesync')), '601'],
  ['markup around the address', posted('<![CDATA[x]]>ann@example.com'), '600'],
  ['somebody elsewhere', posted('ann@example.com'), '500'],
] as const)
  test(`Autodiscover of ${what} is answered with error ${code}`, async () => {
    const { status, text } = await outlook(body)
    assert.equal(status, 200)
    assert.equal(tagged(text, 'ErrorCode'), code)
    assert.match(text, /<Error Time="12:00:00\.000" Id="0">/)
    assert.doesNotMatch(text, /example\.com/)
  })

test('hostile requests are bounded', async () => {
  assert.equal((await outlook('x'.repeat(16_385))).status, 413)
  for (const body of ['<EMailAddress '.repeat(1100), `<EMailAddress>${' '.repeat(16_000)}`, '<a:'.repeat(5000)])
    assert.equal(tagged((await outlook(body)).text, 'ErrorCode'), '600')
})

for (const [path, method, allow] of [
  [MTA_STS, 'POST', 'GET, HEAD'],
  ['/mail/config-v1.1.xml', 'PUT', 'GET, HEAD'],
  ['/autodiscover/autodiscover.xml', 'GET', 'POST'],
] as const)
  test(`${method} ${path} is refused with 405`, async () => {
    const { status, headers } = await ask(path, { method, host: 'mta-sts.example.org' })
    assert.deepEqual([status, headers.allow], [405, allow])
  })

test('requests are counted by what was asked', async () => {
  const text = await registry.getSingleMetricAsString('mail_http_requests_total')
  for (const route of ['mta-sts', 'autoconfig', 'autodiscover']) assert.ok(text.includes(`route="${route}"`), route)
})
