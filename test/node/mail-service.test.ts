/**
 * The whole platform on a real node: image, chart, real CloudNativePG, real MinIO, restricted Pod security, mail over
 * the load balancer, and what happens to it when Pods die and roll. The tests follow one another.
 */

import assert from 'node:assert/strict'
import { startMailFlow } from './mail-flow.ts'
import { allNew, livesOf } from './mail-server.ts'
import { leader, objectVersions } from './operator.ts'
import { MAIL_SERVER, NAMESPACE, OPERATOR, OPERATOR_NAMESPACE } from './platform.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

step('one YAML becomes a mail service: MailServer and accounts are Ready, with two engine Pods', async (_, server) => {
  await server.settled()
  assert.equal((await server.readyEngines(2)).length, 2)
})

step('the engines run as nobody special on a root file system they cannot write', async (platform, server) => {
  const [pod] = await server.engines()
  const script = `
    const { writeFileSync } = require('node:fs')
    let written = 'yes'
    try { writeFileSync('/app/x', '') } catch (error) { written = error.code }
    writeFileSync('/tmp/x', '')
    console.log(JSON.stringify({ uid: process.getuid(), written }))`
  const out = await platform.kubectl('-n', NAMESPACE, 'exec', pod?.metadata.name ?? '', '--', 'node', '-e', script)
  assert.deepEqual(JSON.parse(out), { uid: 1000, written: 'EROFS' })
})

step('mail to port 25 of the load balancer is read on 993, with a certificate that verifies', async (_, server) => {
  await using flow = startMailFlow(await server.address(), 'bob@example.test', 1)
  await flow.more(5)
  await flow.stop()
  assert.deepEqual(flow.refused, [])
  await server.assertAllOnce('bob', flow.acknowledged)
})

step('a Pod killed and a rolling restart while mail flows lose nothing acknowledged', async (platform, server) => {
  await using flow = startMailFlow(await server.address(), 'alice@example.test', 4)
  await flow.more(50)
  const [victim] = await server.readyEngines(2)
  await platform.kubectl('-n', NAMESPACE, 'delete', 'pod', victim?.metadata.name ?? '', '--grace-period=0', '--force')
  await flow.more(50)
  const before = await server.readyEngines(2)
  const deployment = `deployment/${MAIL_SERVER}`
  await platform.kubectl('-n', NAMESPACE, 'rollout', 'restart', deployment)
  await platform.kubectl('-n', NAMESPACE, 'rollout', 'status', deployment, '--timeout=300s')
  const after = await server.readyEngines(2)
  await flow.more(50)
  await flow.stop()
  assert.ok(allNew(before, after), 'all Pods are new')
  await server.assertAllOnce('alice', flow.acknowledged)
})

step('a new operator Pod restarts no engine and writes nothing to a settled service', async (platform, server) => {
  await server.settled()
  const pods = livesOf(await server.readyEngines(2))
  const before = await objectVersions(platform)
  const deployment = `deployment/${OPERATOR}`
  const old = await leader(platform)
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'restart', deployment)
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'status', deployment, '--timeout=120s')
  await leader(platform, old)
  // The new leader looks at everything at once; a change that makes it look again shows that it did.
  await server.reconcile()
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  assert.deepEqual(await objectVersions(platform), before)
  assert.deepEqual(livesOf(await server.readyEngines(2)), pods)
})

step('a Service deleted by hand comes back', async (platform) => {
  await platform.kubectl('-n', NAMESPACE, 'delete', 'service', `${MAIL_SERVER}-http`)
  await platform.kubectl('-n', NAMESPACE, 'wait', `service/${MAIL_SERVER}-http`, '--for=create', '--timeout=60s')
})

step('kubectl scale starts a third engine', async (platform, server) => {
  await platform.kubectl('-n', NAMESPACE, 'scale', `mailserver/${MAIL_SERVER}`, '--replicas=3')
  assert.equal((await server.readyEngines(3)).length, 3)
})
