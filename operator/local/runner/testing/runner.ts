/** The runner on an API of its own, with toy programs in the place of this repository. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { createKubeClient, type KubeApi } from '../../../kube/client.ts'
import { silentLogger } from '../../../kube/logger.ts'
import { CustomResourceDefinition } from '../../../kube/resources.ts'
import type { KubeObject } from '../../../kube/types.ts'
import { startApiServer } from '../../apiserver/server.ts'
import { cnpgClusterCrd } from '../cnpg-crd.ts'
import { openProcessTable } from '../process-table.ts'
import { type Runner, startRunner } from '../runner.ts'
import { openServicePorts } from '../service-ports.ts'

export interface TestRunner extends AsyncDisposable {
  client: KubeApi
  runner: Runner
  /** The runner's; the programs are in its `repository/`. */
  directory: string
  /** Stops the runner and starts it anew, on the same API and directory. */
  restart(): Promise<void>
}

/** @param programs file name → text */
export async function startTestRunner(programs: Record<string, string>): Promise<TestRunner> {
  const directory = await mkdtemp(join(tmpdir(), 'runner test ')) // with a space, as clones may have
  await mkdir(join(directory, 'repository'))
  for (const [name, text] of Object.entries(programs)) await writeFile(join(directory, 'repository', name), text)
  const api = await startApiServer({ dir: join(directory, 'api'), port: 0 })
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig)
  const client = createKubeClient({ kubeConfig, userAgent: 'runner-test', qps: 500, burst: 500 })
  await client.create(CustomResourceDefinition, cnpgClusterCrd)
  await client.create(CustomResourceDefinition, mailServerCrd)
  const start = () =>
    startRunner({
      client,
      directory,
      repositoryRoot: join(directory, 'repository'),
      table: openProcessTable(join(directory, 'processes.json')),
      store: { endpoint: 'http://127.0.0.1:1', credentials: { accessKey: 'a', secretKey: 'b' }, async stop() {} },
      ports: openServicePorts(join(directory, 'ports.json'), { 7: 0 }, () => {}),
      metricsPort: 0,
      env: process.env,
      workers: 1,
      logger: silentLogger,
      progress: () => {},
    })
  const self: TestRunner = {
    client,
    runner: await start(),
    directory,
    async restart() {
      await self.runner.stop(2_000)
      self.runner = await start()
    },
    async [Symbol.asyncDispose]() {
      await self.runner.stop(2_000)
      await client[Symbol.asyncDispose]()
      await api.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
  return self
}

/** Waits for something to become true; the test's own timeout bounds it. */
export async function until<T>(what: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (;;) {
    const result = await what()
    if (result) return result
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const mailServerCrd: KubeObject = {
  ...cnpgClusterCrd,
  metadata: { name: 'mailservers.mail.openova.io' },
  spec: {
    ...(cnpgClusterCrd.spec as object),
    group: 'mail.openova.io',
    names: { kind: 'MailServer', listKind: 'MailServerList', plural: 'mailservers', singular: 'mailserver' },
    versions: (cnpgClusterCrd.spec as { versions: object[] }).versions.map((version) => ({
      ...version,
      name: 'v1alpha1',
    })),
  },
}
