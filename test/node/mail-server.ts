/** The MailServer of the node tests as kubectl and mail programs see it. */

import assert from 'node:assert/strict'
import type { MailServer } from '../../operator/api/mail-server.ts'
import { eventually } from './eventually.ts'
import { type MailboxAccess, messagesOf } from './mail-flow.ts'
import { MAIL_SERVER, NAMESPACE, type Platform } from './platform.ts'

export const DOMAIN = 'example.test'
export const HOSTNAME = 'mail.example.test'
export const ENGINES = `app.kubernetes.io/name=mail-engine,app.kubernetes.io/instance=${MAIL_SERVER}`

export interface Pod {
  metadata: { name: string; uid: string; deletionTimestamp?: string }
  spec: { containers: { image: string }[] }
  status: {
    podIP?: string
    conditions?: { type: string; status: string }[]
    containerStatuses?: { restartCount: number }[]
  }
}

export interface Service {
  spec: { type: string; clusterIP: string; ports: { name: string; port: number; nodePort?: number }[] }
  status: { loadBalancer: { ingress?: { ip: string }[] } }
}

export interface MailServerUnderTest {
  get(): Promise<MailServer>
  /** Waits until everything that the spec says is done and the MailServer says that it is well. */
  settled(): Promise<MailServer>
  /** "True ReplicasAvailable"; undefined when nothing is said of it. */
  condition(type: string): Promise<string | undefined>
  /** Engine Pods that are not on their way out. */
  engines(): Promise<Pod[]>
  readyEngines(count: number): Promise<Pod[]>
  /** Lets the kubelet look at once whether mounted Secrets and ConfigMaps changed, instead of within its minute or two. */
  nudge(): Promise<void>
  service(name?: string): Promise<Service>
  /** Of the mail Service's load balancer. */
  address(): Promise<string>
  secret(name: string): Promise<Record<string, string>>
  /** @param host default: the load balancer */
  mailbox(account: string, host?: string): Promise<MailboxAccess>
  /** Every acknowledged message is there once; nothing else can be twice. */
  assertAllOnce(account: string, acknowledged: readonly string[]): Promise<void>
  /** Every condition that is said from now on, "DatabaseReady=False SwitchingOver", in the order of the first time. */
  watchConditions(): Promise<{ seen: ReadonlySet<string> } & Disposable>
  /** The least number of available replicas from now on. */
  watchCapacity(): { readonly least: number } & Disposable
  /** Makes the operator look at everything now. */
  reconcile(): Promise<void>
}

export function mailServerOn(platform: Platform): MailServerUnderTest {
  const { kubectl, json } = platform
  const inNamespace = ['-n', NAMESPACE]
  const get = () => json<MailServer>(...inNamespace, 'get', 'mailserver', MAIL_SERVER)

  async function engines(): Promise<Pod[]> {
    const { items } = await json<{ items: Pod[] }>(...inNamespace, 'get', 'pods', '-l', ENGINES)
    return items.filter(({ metadata }) => !metadata.deletionTimestamp)
  }
  const service = (name = MAIL_SERVER) => json<Service>(...inNamespace, 'get', 'service', name)
  const address = () =>
    eventually('the load balancer’s address', async () => (await service()).status.loadBalancer.ingress?.[0]?.ip)

  async function secret(name: string): Promise<Record<string, string>> {
    const { data } = await json<{ data: Record<string, string> }>(...inNamespace, 'get', 'secret', name)
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    )
  }

  async function mailbox(account: string, host?: string): Promise<MailboxAccess> {
    return {
      host: host ?? (await address()),
      user: `${account}@${DOMAIN}`,
      password: (await secret(`${account}-password`)).password ?? '',
      ca: (await secret(`${MAIL_SERVER}-tls`))['ca.crt'] ?? '',
      servername: HOSTNAME,
    }
  }

  return {
    get,
    settled: () =>
      eventually(
        'the MailServer to settle',
        async () => {
          const server = await get()
          const { observedGeneration, conditions = [] } = server.status ?? {}
          const is = (type: string) => conditions.find((condition) => condition.type === type)?.status === 'True'
          const done = observedGeneration === server.metadata.generation && is('Ready') && !is('Reconciling')
          return done && !is('Stalled') && server
        },
        300_000,
      ),
    async condition(type) {
      const found = (await get()).status?.conditions?.find((condition) => condition.type === type)
      return found && `${found.status} ${found.reason}`
    },
    engines,
    readyEngines: (count) =>
      eventually(`${count} engines to be ready`, async () => {
        const pods = await engines()
        return pods.length === count && pods.every(isReady) && pods
      }),
    async nudge() {
      const mark = `test.openova.io/looked-at=${Date.now()}`
      await kubectl(...inNamespace, 'annotate', 'pods', '-l', ENGINES, '--overwrite', mark)
    },
    service,
    address,
    secret,
    mailbox,
    async assertAllOnce(account, acknowledged) {
      const found = await messagesOf(await mailbox(account))
      const lost = acknowledged.filter((id) => !found.has(id))
      const twice = [...found].filter(([, count]) => count > 1).map(([id]) => id)
      assert.deepEqual({ lost, twice }, { lost: [], twice: [] }, `of ${acknowledged.length} acknowledged`)
    },
    async watchConditions() {
      const seen = new Set<string>()
      const first = Promise.withResolvers<void>()
      // Not by jsonpath, whose range works for the first object only.
      const template = 'go-template={{range .status.conditions}}{{.type}}={{.status}} {{.reason}}{{"\\n"}}{{end}}'
      const args = [...inNamespace, 'get', 'mailserver', MAIL_SERVER, '--watch', '-o', template]
      const following = platform.follow(args, (line) => {
        seen.add(line)
        first.resolve()
      })
      await first.promise
      return { seen, [Symbol.dispose]: () => following[Symbol.dispose]() }
    },
    watchCapacity() {
      let least = Number.POSITIVE_INFINITY
      const template = 'jsonpath={.status.availableReplicas}{"\\n"}'
      const args = [...inNamespace, 'get', 'deployment', MAIL_SERVER, '--watch', '-o', template]
      const following = platform.follow(args, (line) => {
        least = Math.min(least, Number(line))
      })
      return {
        get least() {
          return least
        },
        [Symbol.dispose]: () => following[Symbol.dispose](),
      }
    },
    async reconcile() {
      const now = `mail.openova.io/reconcile-at=${Date.now()}`
      await kubectl(...inNamespace, 'annotate', 'mailserver', MAIL_SERVER, '--overwrite', now)
    },
  }
}

export const isReady = ({ status }: Pod) =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

/** Tells a Pod from the one that comes after it, and from itself after a restart. */
export const livesOf = (pods: readonly Pod[]) =>
  pods
    .map(
      ({ metadata, status }) => `${metadata.uid} ${status.containerStatuses?.map((c) => c.restartCount).join() ?? ''}`,
    )
    .sort()

/** True when none of `after` was there before. */
export const allNew = (before: readonly Pod[], after: readonly Pod[]) =>
  !after.some(({ metadata }) => before.some((old) => old.metadata.uid === metadata.uid))
