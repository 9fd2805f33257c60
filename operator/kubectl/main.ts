/** What bin/kubectl-mail runs: the plugin with the terminal and the cluster of the kubeconfig. */

import { KubeConfig } from '@kubernetes/client-node'
import { createKubeClient, loadKubeConfig } from '../kube/client.ts'
import { type Connected, run } from './run.ts'
import { CommandError } from './servers.ts'

/** Sets the exit code. @param argv without node and script */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (| head) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  process.exitCode = await run(argv, {
    terminal: { out: (text) => void process.stdout.write(text), err: (text) => void process.stderr.write(text) },
    connect: async (options) => connect(options),
    now: () => new Date(),
  })
}

/** @throws CommandError when the kubeconfig cannot be read or names no cluster */
export function connect({
  context,
  kubeconfig,
}: {
  context?: string | undefined
  kubeconfig?: string | undefined
}): Connected {
  try {
    const kubeConfig = kubeconfig === undefined ? loadKubeConfig() : fromFile(kubeconfig)
    if (context !== undefined) {
      if (!kubeConfig.getContextObject(context)) throw new Error(`the kubeconfig has no context "${context}"`)
      kubeConfig.setCurrentContext(context)
    }
    const client = createKubeClient({ kubeConfig, userAgent: 'kubectl-mail/0.1.0' })
    const namespace = kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace ?? 'default'
    return { client, namespace, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function fromFile(path: string): KubeConfig {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromFile(path)
  return kubeConfig
}
