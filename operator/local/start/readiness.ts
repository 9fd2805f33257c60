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
  const missing: Missing[] = []
  if (servers.length === 0)
    missing.push({ about: 'a MailServer', text: 'there is none; apply one with kubectl or start with -f FILE' })
  for (const server of servers) {
    const { name, namespace = '' } = server.metadata
    const labels = { 'app.kubernetes.io/name': 'mail-engine', 'app.kubernetes.io/instance': name }
    const pods = allPods.filter((pod) => pod.metadata.namespace === namespace && matchesLabels(pod, labels))
    const open = { ...localPorts({ namespace, name }), ...localPorts({ namespace, name: `${name}-http` }) }
    // What the MailServer itself says first; when it is content, whether that is about this run.
    const text = notReady(server) ?? enginesMissing(server, pods) ?? portsMissing(open)
    if (text) missing.push({ about: `MailServer ${namespace}/${name}`, text })
    missing.push(...pods.flatMap((pod) => troubleOf(pod, logOf(pod)) ?? []))
  }
  for (const account of accounts) {
    const text = notReady(account)
    if (text) missing.push({ about: `MailAccount ${account.metadata.namespace}/${account.metadata.name}`, text })
  }
  return { servers, accounts, waitingFor: inWords(missing) }
}

/** So many objects that wait for the same are named. */
const MAX_NAMED = 3

interface Missing {
  about: string
  text: string
}

/** One line per reason, with all that it holds for. */
function inWords(missing: readonly Missing[]): string[] {
  const byText = Map.groupBy(missing, ({ text }) => text)
  return [...byText].map(([text, all]) => {
    const named = all.slice(0, MAX_NAMED).map(({ about }) => about)
    const rest = all.length > MAX_NAMED ? ` and ${all.length - MAX_NAMED} more` : ''
    return `${named.join(', ')}${rest}: ${text}`
  })
}

function enginesMissing(server: MailServerObject, pods: readonly Pod[]): string | undefined {
  const wanted = server.spec?.replicas ?? 2
  const ready = pods.filter(isPodReady).length
  return ready < wanted ? `${ready} of ${wanted} engines Ready` : undefined
}

function portsMissing(open: Record<string, number>): string | undefined {
  const closed = ['smtp', 'smtps', 'submission', 'imaps', 'http'].filter((port) => open[port] === undefined)
  return closed.length > 0 ? `no local port yet for ${closed.join(', ')}` : undefined
}

/** Why an engine is not Ready, once that looks like more than a start. */
function troubleOf(pod: Pod, log: string): Missing | undefined {
  const [container] = pod.status?.containerStatuses ?? []
  const waiting = container?.state?.waiting
  const about = `engine ${pod.metadata.name}`
  if (waiting?.reason === 'CrashLoopBackOff') return { about, text: `it ends again and again: see ${log}` }
  if (waiting && waiting.reason !== 'ContainerCreating') return { about, text: waiting.message ?? waiting.reason }
  return undefined
}

/** What keeps an object from being Ready, in its own words; undefined when it is. */
function notReady(object: KubeObject<unknown, WithConditions>): string | undefined {
  const { conditions = [], observedGeneration } = object.status ?? {}
  const ready = conditions.find(({ type }) => type === 'Ready')
  const seen = ready?.observedGeneration ?? observedGeneration
  if (ready?.status === 'True' && (seen === undefined || seen === object.metadata.generation)) return undefined
  if (!ready) return 'the operator has not looked at it yet'
  const stalled = conditions.find(({ type, status }) => type === 'Stalled' && status === 'True')
  const { reason, message } = stalled ?? ready
  return message ? `${reason}: ${message}` : reason
}
