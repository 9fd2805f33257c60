/**
 * What is renewed while people are connected: the certificate, by a cert-manager that the test plays with its real CRD,
 * and the DKIM keys, through the node's DNS. No engine is restarted for either.
 */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { createTransport } from 'nodemailer'
import { stringify } from 'yaml'
import { zoneOfServer } from '../../operator/zone.ts'
import { selfSigned } from '../certificate.ts'
import { eventually } from './eventually.ts'
import { openMailbox } from './mail-flow.ts'
import { DOMAIN, HOSTNAME, livesOf, type MailServerUnderTest } from './mail-server.ts'
import { connected } from './one-message.ts'
import { applyCrds, applyMailServer, MAIL_SERVER, NAMESPACE, type Platform } from './platform.ts'
import { FOREIGN_DOMAIN, type ForeignServer, publicDns, publish, startForeignServer } from './public-dns.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

const TLS_SECRET = `${MAIL_SERVER}-tls`
/** Sessions to each port at a time: enough to meet every worker of both engines. */
const TRIES = 8

step(
  'a renewed certificate is presented on every port without a restart, and sessions stay',
  async (platform, server) => {
    await applyCrds(platform, 'cert-manager-certificates')
    await applyMailServer(platform, { tls: { issuerRef: { kind: 'ClusterIssuer', name: 'played' } } })
    await eventually('the Certificate to be asked for', async () => {
      await server.reconcile()
      return platform.kubectl('-n', NAMESPACE, 'get', 'certificate', TLS_SECRET)
    })
    const first = await issue(platform)
    await server.nudge()
    await presentedEverywhere(server, first)
    await eventually('status to tell of it', async () => {
      const { notAfter, issuer } = (await server.get()).status?.certificate ?? {}
      return issuer === 'ClusterIssuer/played' && Date.parse(notAfter ?? '') === Date.parse(first.validTo)
    })

    const lives = livesOf(await server.readyEngines(2))
    const access = await server.mailbox('bob')
    await using session = await openMailbox(access)
    await session.mailboxOpen('INBOX', { readOnly: true })
    const renewed = await issue(platform)
    await server.nudge()
    await presentedEverywhere(server, renewed)
    await session.noop()
    assert.ok(session.usable, 'the session from before goes on')
    assert.deepEqual(livesOf(await server.readyEngines(2)), lives)

    // Without an issuer the operator's own CA, which clients have been told of, signs again.
    await applyMailServer(platform)
    const own = await eventually('the certificate of the operator’s CA', async () => {
      const certificate = new X509Certificate((await server.secret(TLS_SECRET))['tls.crt'] ?? '')
      const authority = new X509Certificate((await server.secret(`${TLS_SECRET}-ca`))['tls.crt'] ?? '')
      return certificate.verify(authority.publicKey) && certificate
    })
    await server.nudge()
    await presentedEverywhere(server, own)
    assert.deepEqual(livesOf(await server.readyEngines(2)), lives)
  },
)

step(
  'rotated DKIM keys sign once DNS shows them, without a restart; mail signed before still verifies',
  async (platform, server) => {
    await using foreign = await startForeignServer()
    await server.settled()
    const lives = livesOf(await server.readyEngines(2))
    const keys = async (state: string) =>
      ((await server.get()).status?.dkim?.keys ?? [])
        .filter((key) => key.state === state)
        .map((key) => key.selector)
        .sort()
    const old = await keys('Active')
    await publish(platform, zoneOfServer(await server.get()))
    const before = await submitted(server, foreign)
    assert.deepEqual(
      await signaturesOf(before),
      old.map((selector) => `${selector} pass`),
    )

    const wish = `mail.openova.io/rotate-dkim=${Date.now()}`
    await platform.kubectl('-n', NAMESPACE, 'annotate', 'mailserver', MAIL_SERVER, '--overwrite', wish)
    const coming = await eventually('new keys to be made', async () => {
      const publishing = await keys('Publishing')
      return publishing.length === 2 && publishing
    })
    assert.deepEqual(
      await signaturesOf(await submitted(server, foreign)),
      old.map((selector) => `${selector} pass`),
    )
    await publish(platform, zoneOfServer(await server.get()))
    // Not before the TTL is over in which resolvers may remember that there was no such name.
    await eventually('the new keys to be in use', async () => {
      await server.reconcile()
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      return (await keys('Active')).join() === coming.join()
    })
    await server.nudge()
    await eventually('mail to be signed with them', async () => {
      const signatures = await signaturesOf(await submitted(server, foreign))
      return signatures.join() === coming.map((selector) => `${selector} pass`).join()
    })
    assert.ok((await keys('Retiring')).some((selector) => old.includes(selector)))
    assert.deepEqual(
      await signaturesOf(before),
      old.map((selector) => `${selector} pass`),
    )
    assert.deepEqual(livesOf(await server.readyEngines(2)), lives)
  },
)

interface Certificate {
  metadata: { generation: number }
  spec: { secretName: string; dnsNames: string[]; secretTemplate: { labels: Record<string, string> } }
}

/** What cert-manager does with the Certificate: a Secret, and word of it. @returns the certificate */
async function issue(platform: Platform): Promise<X509Certificate> {
  const { metadata, spec } = await platform.json<Certificate>('-n', NAMESPACE, 'get', 'certificate', TLS_SECRET)
  const { cert, key } = await selfSigned(spec.dnsNames)
  const certificate = new X509Certificate(cert)
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: spec.secretName, namespace: NAMESPACE, labels: spec.secretTemplate.labels },
    stringData: { 'tls.crt': cert, 'tls.key': key, 'ca.crt': cert },
  }
  await platform.apply(stringify(secret), 'cert-manager-certificates-issuing')
  const now = new Date().toISOString()
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'Ready',
    message: 'Certificate is up to date and has not expired',
  }
  const conditions = [{ ...ready, observedGeneration: metadata.generation, lastTransitionTime: now }]
  const status = { conditions, notAfter: new Date(certificate.validTo).toISOString() }
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]
  await platform.kubectl('-n', NAMESPACE, 'patch', 'certificate', TLS_SECRET, ...patch)
  return certificate
}

async function presentedEverywhere(server: MailServerUnderTest, { fingerprint256 }: X509Certificate): Promise<void> {
  const host = await server.address()
  const { spec } = await server.service(`${MAIL_SERVER}-http`)
  const ports: [host: string, port: number][] = [
    [host, 25],
    [host, 587],
    [host, 465],
    [host, 993],
    [spec.clusterIP, 443],
  ]
  for (const [at, port] of ports) {
    await eventually(`the certificate on port ${port}`, async () => {
      const shown = await Promise.all(Array.from({ length: TRIES }, () => presented(at, port)))
      return shown.every((fingerprint) => fingerprint === fingerprint256)
    })
  }
}

/** Fingerprint of the certificate that a new session is shown, after STARTTLS (RFC 3207) on 25 and 587. */
async function presented(host: string, port: number): Promise<string> {
  const socket = await connected(host, port)
  try {
    if (port === 25 || port === 587) {
      await reply(socket)
      for (const command of ['EHLO client.test', 'STARTTLS']) {
        socket.write(`${command}\r\n`)
        await reply(socket)
      }
    }
    const session = connectTls({ socket, servername: HOSTNAME, rejectUnauthorized: false })
    await once(session, 'secureConnect')
    return session.getPeerX509Certificate()?.fingerprint256 ?? ''
  } finally {
    socket.destroy()
  }
}

/** Reads to the end of one SMTP reply (RFC 5321 §4.2.1). */
async function reply(socket: Socket): Promise<void> {
  for (let text = ''; !/^\d{3} .*\r\n$/m.test(text); ) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    text += chunk.toString('latin1')
  }
}

/** Alice writes to somebody elsewhere. @returns what arrived there */
async function submitted(server: MailServerUnderTest, foreign: ForeignServer): Promise<Buffer> {
  const { host, user, password: pass, ca, servername } = await server.mailbox('alice')
  const before = foreign.received.length
  const transport = createTransport({
    host,
    port: 587,
    requireTLS: true,
    tls: { ca, servername },
    auth: { user, pass },
  })
  await transport.sendMail({ from: user, to: `friend@${FOREIGN_DOMAIN}`, subject: 'Signed', text: 'with our keys' })
  return eventually('the message at its MX', async () => foreign.received[before])
}

/** "selector result" of each signature of ours, as a receiver finds it by the public DNS. */
async function signaturesOf(message: Buffer): Promise<string[]> {
  const dns = publicDns()
  const resolver = (name: string, type: string) => dns.resolve(name, type) as Promise<string[][]>
  const { results } = await dkimVerify(message, { resolver })
  assert.ok(results.every(({ signingDomain }) => signingDomain === DOMAIN))
  return results.map(({ selector, status }) => `${selector} ${status.result}`).sort()
}
