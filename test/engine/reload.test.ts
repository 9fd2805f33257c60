import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { selfSigned } from '../certificate.ts'
import { startEngine } from '../engine.ts'

const engine = await startEngine()
after(() => engine[Symbol.asyncDispose]())

async function commonName(port: number): Promise<string | string[] | undefined> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return subject.CN
}

/** The test's own timeout bounds it. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(50)
}

test('a new certificate is used by IMAPS, submissions and HTTP without a restart', async () => {
  assert.equal(await commonName(engine.ports.imaps), 'localhost')
  await engine.writeCertificate(await selfSigned(['renewed.example.org']))
  for (const port of ['imaps', 'smtps', 'jmap'] as const) {
    await eventually(async () => (await commonName(engine.ports[port])) === 'renewed.example.org')
  }
})

test('a pair that does not belong together is not used', async () => {
  const [one, other] = [await selfSigned(['one.example.org']), await selfSigned(['other.example.org'])]
  await engine.writeCertificate({ cert: one.cert, key: other.key })
  await eventually(async () => /"TLS certificate not usable"/.test(await engine.log()))
  assert.equal(await commonName(engine.ports.imaps), 'renewed.example.org')
  assert.equal((await engine.readyz())?.ready, true, 'the old one serves')
})

test('a domain that is added to the configuration takes accounts; a broken configuration changes nothing', async () => {
  const account = { address: 'carol@second.example', aliases: [], password: 'secret' }
  await assert.rejects(engine.putAccount(account), /422/)
  await engine.writeConfig({ domains: [{ name: 'example.org' }, { name: 'second.example' }] })
  await eventually(() =>
    engine.putAccount(account).then(
      () => true,
      () => false,
    ),
  )
  await writeFile(join(engine.rootDirectory, 'config/config.json'), '{"hostname": "x y"}')
  await eventually(async () => /^mail_config_valid 0$/m.test(await engine.metrics()))
  await engine.putAccount({ ...account, displayName: 'Carol' })
  assert.equal((await engine.readyz())?.ready, true)
})

test('the admin API wants its token', async () => {
  const url = `${engine.http}/admin/v1/accounts`
  assert.equal((await fetch(url)).status, 401)
  assert.equal((await fetch(url, { headers: { Authorization: 'Bearer wrong' } })).status, 401)
  const headers = { Authorization: `Bearer ${engine.adminToken}` }
  const { accounts } = (await (await fetch(`${url}?limit=1`, { headers })).json()) as {
    accounts: { address: string }[]
  }
  assert.deepEqual(
    accounts.map(({ address }) => address),
    ['alice@example.org'],
  )
})
