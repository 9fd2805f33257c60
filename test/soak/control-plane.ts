/** The API that a soak runs against: the cluster that KUBECONFIG_UNDER_TEST names, a control plane of its own, or the local API. */

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { customResourceDefinitions } from '../../operator/api/crds.ts'
import { MailAccountResource, MailServerResource } from '../../operator/api/group.ts'
import { createKubeClient, type KubeApi } from '../../operator/kube/client.ts'
import { CustomResourceDefinition } from '../../operator/kube/resources.ts'
import { startApiServer } from '../../operator/local/apiserver/server.ts'
import { cnpgClusterCrd } from '../../operator/local/runner/cnpg-crd.ts'
import { isBuilt, startCluster, tool } from '../cluster-tool.ts'

export interface ControlPlane extends AsyncDisposable {
  /** For the table. */
  name: string
  /** True where no controller-manager makes Pods of Deployments. */
  local: boolean
  kubeconfig: string
  /** cluster-admin, with our kinds and CloudNativePG's Cluster served. */
  client: KubeApi
}

/** @param local the local API although a real control plane could be had */
export async function openControlPlane(local: boolean): Promise<ControlPlane> {
  await using started = new AsyncDisposableStack()
  const { name, kubeconfig } = await choose(local, started)
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(kubeconfig)
  const client = started.use(createKubeClient({ kubeConfig, userAgent: 'soak/1', qps: 2000, burst: 2000 }))
  for (const crd of [...customResourceDefinitions(), cnpgClusterCrd]) {
    await client.apply(CustomResourceDefinition, crd, { fieldManager: 'soak' })
  }
  for (const { group, version, plural } of [MailServerResource, MailAccountResource, CLUSTERS]) {
    const path = `/apis/${group}/${version}/${plural}?limit=1`
    while (!(await client.raw('GET', path).catch(() => undefined))) await sleep(100)
  }
  const owned = started.move()
  return { name, local: name === LOCAL, kubeconfig, client, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const LOCAL = 'the local API'
const CLUSTERS = { group: 'postgresql.cnpg.io', version: 'v1', plural: 'clusters' }

async function choose(local: boolean, started: AsyncDisposableStack): Promise<{ name: string; kubeconfig: string }> {
  const given = process.env.KUBECONFIG_UNDER_TEST
  if (given) return { name: 'a given cluster', kubeconfig: readFileSync(given, 'utf8') }
  if (!local && isBuilt('cluster')) {
    const cluster = await startCluster({ node: false, program: tool('cluster') })
    started.defer(() => cluster.stop())
    return { name: 'kube-apiserver, etcd, controller-manager', kubeconfig: readFileSync(cluster.kubeconfig, 'utf8') }
  }
  const server = await startApiServer({})
  started.defer(() => server.close())
  return { name: LOCAL, kubeconfig: server.kubeconfig }
}
