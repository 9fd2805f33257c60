/** Whether everything that was asked for works, and else what is missing. Reads only; pure but for the reads. */
import type { Condition, KubeClient, KubeObject, ObjectKey, Resource } from '../../kube/types.ts'
import { MailServer } from '../runner/bucket.ts'
import { matchesLabels, type Pod } from '../runner/objects.ts'

export const MailAccount: Resource = { ...MailServer, kind: 'MailAccount', plural: 'mailaccounts' }

interface WithConditions {
  observedGeneration?: number
  conditions?: Condition[]
}

export type MailServerObject = KubeObject<{ replicas?: number; hostname?: string }, WithConditions>
export type MailAccountObject = KubeObject<
  { address?: string; serverRef?: { name?: string }; passwordSecretRef?: { name: string; key?: string } },
  WithConditions & { passwordSecretRef?: { name: string; key?: string } }
>

export interface State {
  servers: MailServerObject[]
  accounts: MailAccountObject[]
  /** What is not there yet, in words; empty: everything is. */
  waitingFor: string[]
}

/**
 * @param readyPods the Pods that are Ready in this run: what an object's status says may be of an earlier one
 * @param localPorts Service port name → local port
 */
export async function readState(
  client: KubeClient,
  readyPods: readonly Pod[],
  localPorts: (key: ObjectKey) => Record<string, number>,
): Promise<State> {
  const servers = (await client.list<MailServerObject>(MailServer)).items
  const accounts = (await client.list<MailAccountObject>(MailAccount)).items
  const waitingFor: string[] = []
  if (servers.length === 0) waitingFor.push('a MailServer: there is none; apply one with kubectl or start with -f FILE')
  for (const server of servers) {
    const { name, namespace = '' } = server.metadata
    const about = `MailServer ${namespace}/${name}`
    const missing = missingConditions(server)
    waitingFor.push(...missing.map((text) => `${about}: ${text}`))
    const pods = readyPods.filter(
      (pod) =>
        pod.metadata.namespace === namespace &&
        matchesLabels(pod, { 'app.kubernetes.io/name': 'mail-engine', 'app.kubernetes.io/instance': name }),
    )
    const wanted = server.spec?.replicas ?? 2
    if (pods.length < wanted) waitingFor.push(`${about}: ${pods.length} of ${wanted} engines Ready`)
    const open = { ...localPorts({ namespace, name }), ...localPorts({ namespace, name: `${name}-http` }) }
    const closed = ['smtp', 'smtps', 'submission', 'imaps', 'http'].filter((port) => open[port] === undefined)
    if (closed.length > 0) waitingFor.push(`${about}: no local port yet for ${closed.join(', ')}`)
  }
  for (const account of accounts) {
    const about = `MailAccount ${account.metadata.namespace}/${account.metadata.name}`
    waitingFor.push(...missingConditions(account).map((text) => `${about}: ${text}`))
  }
  return { servers, accounts, waitingFor }
}

/** Conditions that keep an object from being Ready, in their own words. */
function missingConditions(object: KubeObject<unknown, WithConditions>): string[] {
  const { conditions = [], observedGeneration } = object.status ?? {}
  const ready = conditions.find(({ type }) => type === 'Ready')
  const seen = ready?.observedGeneration ?? observedGeneration
  if (ready?.status === 'True' && (seen === undefined || seen === object.metadata.generation)) return []
  if (!ready) return ['the operator has not looked at it yet']
  const stalled = conditions.find(({ type, status }) => type === 'Stalled' && status === 'True')
  const { reason, message } = stalled ?? ready
  return [message ? `${reason}: ${message}` : reason]
}
