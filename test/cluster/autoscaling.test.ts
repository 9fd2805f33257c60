/**
 * spec.autoscaling with the real HorizontalPodAutoscaler controller: it scales the MailServer, and neither the operator
 * nor who applies the manifest fights it. Here are no metrics; without them it still scales up to minReplicas.
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { API_VERSION, MailServerResource } from '../../operator/api/group.ts'
import type { MailServer } from '../../operator/api/mail-server.ts'
import type { MailServerSpecInput } from '../../operator/api/mail-server-spec.ts'
import { Deployment, HorizontalPodAutoscaler } from '../../operator/kube/resources.ts'
import { isReady, openTestCluster } from '../../operator/mailserver/testing/cluster.ts'
import { prepareOperator } from '../../operator/run.ts'

test('a MailServer that is autoscaled', {
  skip: process.env.KUBECONFIG_UNDER_TEST ? false : 'KUBECONFIG_UNDER_TEST is not set (npm run test:cluster)',
}, async (t) => {
  const cluster = await openTestCluster()
  const { client, namespace } = cluster
  const { client: counted, writes, quiet } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test', resyncMs: 600_000 },
    { client: counted, verifyDns: async () => [] },
  )
  after(() => operator[Symbol.asyncDispose]())
  await operator.lead()

  const name = 'grown'
  /** As Argo CD applies what a repository says. */
  const apply = (more: Partial<MailServerSpecInput>) => {
    const spec = { hostname: 'mail.example.org', domains: [{ name: 'example.org' }], ...more }
    const manifest = { apiVersion: API_VERSION, kind: MailServerResource.kind, metadata: { name, namespace }, spec }
    return client.apply(MailServerResource, manifest, { fieldManager: 'argocd-controller' })
  }
  const has = (replicas: number) => (found: MailServer) =>
    isReady(found) &&
    found.spec.replicas === replicas &&
    found.status?.replicas === replicas &&
    found.status.readyReplicas === replicas
  /** Reconciles some times. Nothing is to be written for it, and the number stays. */
  async function staysAtThree(): Promise<void> {
    await cluster.until(name, has(3), 'three replicas')
    await quiet(operator)
    const before = writes.length
    for (let round = 0; round < 4; round++) {
      operator.controllers[0]?.queue.add({ namespace, name })
      await quiet(operator)
    }
    assert.deepEqual(writes.slice(before), [])
    assert.ok(has(3)(await client.get<MailServer>(MailServerResource, { namespace, name })))
    const deployment = await client.get(Deployment, { namespace, name })
    assert.equal((deployment.spec as { replicas: number }).replicas, 3)
  }

  await t.test('the autoscaler scales it, and the operator its Deployment', async () => {
    await apply({ replicas: 2 })
    await cluster.until(name, has(2), 'two replicas')
    await apply({ replicas: 2, autoscaling: { minReplicas: 3, maxReplicas: 5 } })
    await cluster.until(name, has(3), 'three replicas')
    await cluster.eventually(async () => {
      const { status } = await client.get(HorizontalPodAutoscaler, { namespace, name })
      return (status as { currentReplicas?: number }).currentReplicas === 3
    }, 'the autoscaler to look again')
    await staysAtThree()
  })

  await t.test('a manifest without replicas leaves the number to the autoscaler', async () => {
    await apply({ autoscaling: { minReplicas: 3, maxReplicas: 5 } })
    await staysAtThree()
  })

  await t.test('without spec.autoscaling the autoscaler goes, and the replicas stay', async () => {
    await apply({})
    const isGone = async () => !(await cluster.get(HorizontalPodAutoscaler, name))
    await cluster.eventually(isGone, 'the autoscaler to go')
    await staysAtThree()
  })
})
