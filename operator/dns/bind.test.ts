/** The zone file of status.dns in a name server that others wrote: BIND, where the machine has one. */

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { freePorts } from '../local/free-port.ts'
import { dnsRecords } from './records.ts'
import { createResolver, verifyRecords } from './verify.ts'
import { zoneFile } from './zone.ts'

const DOMAIN = 'example.org'
/** What every zone has besides (RFC 1035 §5.2). */
const HEAD = `@ 60 IN SOA ns.${DOMAIN}. hostmaster.${DOMAIN}. 1 3600 600 86400 60
@ 60 IN NS ns.${DOMAIN}.
ns 60 IN A 127.0.0.1
`

const missing = spawnSync('named', ['-V']).error ? 'no named (Debian: bind9)' : false

test('BIND loads the zone file, and every record in it is found as it should be', { skip: missing }, async () => {
  const records = dnsRecords({
    hostname: `mail.${DOMAIN}`,
    domains: [{ name: DOMAIN, dmarc: { policy: 'reject', rua: `mailto:dmarc@${DOMAIN}` } }],
    addresses: ['203.0.113.7', '2001:db8::7'],
    dkim: [{ domain: DOMAIN, selector: 'default', txt: `v=DKIM1; k=rsa; p=${'A'.repeat(392)}` }],
    spfMechanisms: ['include:spf.example.net'],
    mtaSts: 'enforce',
    caa: { issuers: ['ca.example; accounturi=https://ca.example/1'], iodef: `mailto:caa@${DOMAIN}` },
    tlsa: [`3 1 1 ${'ab'.repeat(32)}`],
  }).filter(({ type }) => type !== 'PTR') // in a zone of whoever owns the addresses
  await using server = await startBind(`${HEAD}${zoneFile(records, 60)}`)
  assert.deepEqual(
    (await verifyRecords(records, createResolver([server.address]))).filter(({ state }) => state !== 'Published'),
    [],
  )
})

/** @throws Error with its log when it refuses the zone */
async function startBind(zone: string): Promise<AsyncDisposable & { address: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'bind-'))
  const [port] = await freePorts(1)
  writeFileSync(join(directory, 'zone'), zone)
  const options = [
    `directory "${directory}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;`,
    `listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };`,
  ]
  const configuration = `options { ${options.join(' ')} }; controls { }; zone "${DOMAIN}" { type primary; file "zone"; };\n`
  writeFileSync(join(directory, 'named.conf'), configuration)
  const child = spawn('named', ['-g', '-c', join(directory, 'named.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill()
    await ended
    rmSync(directory, { recursive: true })
  }
  const log: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    log.push(line)
    if (line.endsWith(' running')) break
  }
  child.stderr.resume()
  if (log.some((line) => line.includes(`zone ${DOMAIN}/IN: loaded serial 1`))) {
    return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop }
  }
  await stop()
  throw new Error(`named does not load the zone:\n${log.join('\n')}`)
}
