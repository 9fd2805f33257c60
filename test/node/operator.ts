/** The operator of the node tests: who leads, and what it has written. */

import { eventually } from './eventually.ts'
import { MAIL_SERVER, NAMESPACE, OPERATOR, OPERATOR_NAMESPACE, type Platform } from './platform.ts'

/**
 * The Pod that holds the Lease, and exists.
 * @param not waits for another one than this
 */
export function leader({ json }: Platform, not?: string): Promise<string> {
  return eventually('an operator to lead', async () => {
    const get = ['-n', OPERATOR_NAMESPACE, 'get']
    const lease = await json<{ spec: { holderIdentity?: string } }>(...get, 'lease', OPERATOR)
    const { items } = await json<{ items: { metadata: { name: string; deletionTimestamp?: string } }[] }>(
      ...get,
      'pods',
      '-l',
      `app.kubernetes.io/name=${OPERATOR}`,
    )
    const names = items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name)
    const holder = names.find((name) => lease.spec.holderIdentity?.startsWith(`${name}_`))
    return holder !== not && holder
  })
}

/** Every object of the MailServer with what changes when it is written. */
export async function objectVersions({ json }: Platform): Promise<string[]> {
  const kinds = 'deployments,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,serviceaccounts'
  const { items } = await json<{ items: { kind: string; metadata: Record<string, string> }[] }>(
    '-n',
    NAMESPACE,
    'get',
    kinds,
    '-l',
    `mail.openova.io/server=${MAIL_SERVER}`,
  )
  return items.map(
    ({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.generation ?? metadata.resourceVersion}`,
  )
}
