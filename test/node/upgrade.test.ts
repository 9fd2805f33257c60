/** What happens to engines while mail flows: a new image, an image that is not there, a node that is drained. */

import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import { startMailFlow } from './mail-flow.ts'
import { allNew, DOMAIN, ENGINES, isReady, livesOf, type MailServerUnderTest } from './mail-server.ts'
import { applyMailServer, imageOfCheckout, MAIL_SERVER, NAMESPACE, tagImage } from './platform.ts'
import { nodeSuite } from './suite.ts'

const { step } = nodeSuite()

const ALICE = `alice@${DOMAIN}`

/** Two ready engines of one image, and the MailServer says so. An upgrade may be checked first, so this may take long. */
async function runs(server: MailServerUnderTest, image: string): Promise<void> {
  await eventually(
    `both engines to run ${image}`,
    async () => {
      const pods = await server.engines()
      return pods.length === 2 && pods.every((pod) => isReady(pod) && pod.spec.containers[0]?.image === image)
    },
    600_000,
  )
  assert.equal((await server.settled()).status?.image, image)
}

step(
  'a new image rolls through all engines under mail load, without losing capacity or mail',
  async (platform, server) => {
    const before = await server.readyEngines(2)
    const [image, twin] = [imageOfCheckout(), `${imageOfCheckout()}-next`]
    await tagImage(platform, image, twin)
    const next = (await server.settled()).status?.image === image ? twin : image
    await using flow = startMailFlow(await server.address(), ALICE, 4)
    await flow.more(50)
    using capacity = server.watchCapacity()
    await applyMailServer(platform, { image: next })
    await runs(server, next)
    await flow.more(50)
    await flow.stop()
    assert.ok(allNew(before, await server.engines()), 'all Pods are new')
    assert.equal(capacity.least, 2, 'replicas available all the while')
    await server.assertAllOnce('alice', flow.acknowledged)
  },
)

step(
  'an image that cannot be pulled is told and leaves the engines at work; the good one heals it',
  async (platform, server) => {
    const image = (await server.settled()).status?.image ?? ''
    const before = livesOf(await server.readyEngines(2))
    await using flow = startMailFlow(await server.address(), ALICE, 4)
    await applyMailServer(platform, { image: 'local/mail-operator:absent' })
    await eventually('the trouble to be told', async () => {
      const told = [await server.condition('Reconciling'), await server.condition('Stalled')]
      const pods = await platform.json<{ items: WaitingPod[] }>('-n', NAMESPACE, 'get', 'pods')
      const waiting = pods.items
        .flatMap(({ status }) => status.containerStatuses ?? [])
        .map(({ state }) => state.waiting)
      return told.some(Boolean) && waiting.some((why) => /^(ErrImage|ImagePull)/.test(why?.reason ?? ''))
    })
    await flow.more(50)
    assert.match((await server.condition('Ready')) ?? '', /^True /)
    await applyMailServer(platform, { image })
    await runs(server, image)
    await flow.more(50)
    await flow.stop()
    assert.deepEqual(livesOf(await server.readyEngines(2)), before)
    assert.deepEqual(flow.refused, [])
    await server.assertAllOnce('alice', flow.acknowledged)
  },
)

step('a drain of the node takes one engine at a time, and mail flows with the other', async (platform, server) => {
  const { kubectl } = platform
  const before = await server.readyEngines(2)
  await using flow = startMailFlow(await server.address(), ALICE, 4)
  await flow.more(50)
  let drained = false
  // The engines' volumes are caches (emptyDir); everything else of the platform stays on its only node.
  const drain = kubectl('drain', 'node', `--pod-selector=${ENGINES}`, '--delete-emptydir-data', '--timeout=300s').then(
    () => {
      drained = true
    },
  )
  try {
    await eventually('one engine to be gone and its successor to find no node', async () => {
      const pods = await server.engines()
      const left = pods.filter(isReady)
      return (
        left.length === 1 &&
        pods.length === 2 &&
        allNew(
          before,
          pods.filter((pod) => !isReady(pod)),
        )
      )
    })
    await flow.more(100)
    const budget = await platform.json<{ status: { disruptionsAllowed: number } }>(
      ...['-n', NAMESPACE, 'get', 'poddisruptionbudget', MAIL_SERVER],
    )
    assert.equal(budget.status.disruptionsAllowed, 0)
    assert.equal(drained, false, 'the drain waits for the budget')
    assert.equal(await server.condition('EngineAvailable'), 'True Degraded')
  } finally {
    await kubectl('uncordon', 'node')
  }
  await drain
  const after = await server.readyEngines(2)
  await flow.more(50)
  await flow.stop()
  assert.ok(allNew(before, after), 'all Pods are new')
  await server.assertAllOnce('alice', flow.acknowledged)
})

interface WaitingPod {
  status: { containerStatuses?: { state: { waiting?: { reason: string } } }[] }
}
