/** Whether everything that was asked for works, and else what is missing. Reads only; pure but for the reads. */
import type { Condition, KubeClient, KubeObject, ObjectKey, Resource } from '../../kube/types.ts'
import { MailServer } from '../runner/bucket.ts'
import { isPodReady, matchesLabels, type Pod } from '../runner/objects.ts'

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
 * @param allPods the Pods as they are in this run: what a MailServer's status says may be of an earlier one
 * @param logOf the file that a Pod's process writes to
 * @param localPorts Service port name → local port
 */
export async function readState(
  client: KubeClient,
  allPods: readonly Pod[],
  localPorts: (key: ObjectKey) => Record<string, number>,
  logOf: (pod: Pod) => string,
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
    const labels = { 'app.kubernetes.io/name': 'mail-engine', 'app.kubernetes.io/instance': name }
    const pods = allPods.filter((pod) => pod.metadata.namespace === namespace && matchesLabels(pod, labels))
    const wanted = server.spec?.replicas ?? 2
    const ready = pods.filter(isPodReady).length
    if (ready < wanted) waitingFor.push(`${about}: ${ready} of ${wanted} engines Ready`)
    waitingFor.push(...pods.flatMap((pod) => troubleOf(pod, logOf(pod)) ?? []))
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

/** Why an engine is not Ready, once that looks like more than a start. */
function troubleOf(pod: Pod, log: string): string | undefined {
  const [container] = pod.status?.containerStatuses ?? []
  const waiting = container?.state?.waiting
  if (waiting?.reason === 'CrashLoopBackOff')
    return `engine ${pod.metadata.name}, which ends again and again: see ${log}`
  if (waiting && waiting.reason !== 'ContainerCreating')
    return `engine ${pod.metadata.name}: ${waiting.message ?? waiting.reason}`
  return undefined
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
