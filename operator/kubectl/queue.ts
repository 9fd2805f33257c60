/** kubectl mail queue: what an engine's metrics say of the queue, through the API server's proxy to its Service. */

import { isKubeError } from '../kube/errors.ts'
import type { KubeClient, ObjectKey } from '../kube/types.ts'
import { httpServiceName } from '../mailserver/desired/names.ts'
import { CommandError } from './servers.ts'
import { table } from './table.ts'

export type QueueSizes = Record<string, number>

/**
 * Recipients by state, of all replicas: every engine counts the one queue in the database.
 * @throws CommandError when no engine answers, or it has no such metric; KubeError
 */
export async function queueSizes(client: Pick<KubeClient, 'raw'>, { namespace, name }: ObjectKey): Promise<QueueSizes> {
  const service = `http:${httpServiceName(name)}:http`
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${service}/proxy/metrics`
  let text: unknown
  try {
    text = await client.raw('GET', path)
  } catch (error) {
    if (isKubeError(error, 'Forbidden')) {
      throw new CommandError(`${error.message}\nThis needs the right to get services/proxy in namespace ${namespace}`)
    }
    if (isKubeError(error, 'NotFound', 'Transient', 'Timeout')) {
      throw new CommandError(`no engine of MailServer ${name} answers through the API server: ${error.message}`)
    }
    throw error
  }
  const sizes = sizesIn(typeof text === 'string' ? text : '')
  if (Object.keys(sizes).length === 0) throw new CommandError(`what answers for ${name} has no stalwart_queue_size`)
  return sizes
}

/** From Prometheus' text format. */
function sizesIn(text: string): QueueSizes {
  const lines = text.matchAll(/^stalwart_queue_size\{(?:[^}]*,)?state="([a-z]+)"[^}]*\} ([0-9.eE+]+)$/gm)
  return Object.fromEntries([...lines].map(([, state = '', value]) => [state, Number(value)]))
}

const MEANING: Record<string, string> = {
  due: 'to be tried now',
  delivering: 'an attempt is under way',
  waiting: 'for their next attempt',
}

export function queueTable(sizes: QueueSizes): string {
  const rows = Object.entries(sizes).map(([state, count]) => [state, String(count), MEANING[state] ?? ''])
  return table([['STATE', 'RECIPIENTS', ''], ...rows])
}
