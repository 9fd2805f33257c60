/**
 * An operator that ends in the middle of anything, at each of its requests in turn: before the API saw the request, or
 * after, with the answer lost. The next one always comes to the same end. Many MailServers at once, each of which loses
 * its operator at another request.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MailServerResource, ROTATE_DKIM } from '../api/group.ts'
import type { MailServer } from '../api/mail-server.ts'
import { generateDkimKey } from '../dkim/keys.ts'
import type { KubeApi } from '../kube/client.ts'
import { findCondition } from '../kube/conditions.ts'
import { KubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeObject, Resource } from '../kube/types.ts'
import { prepareOperator } from '../run.ts'
import { BUILT_IN, idOf, newestVersions } from './kinds.ts'
import { isReady, openTestCluster } from './testing/cluster.ts'

const cluster = await openTestCluster()
const { client, namespace } = cluster

/** One request in so many: fewer on the local API, where this runs with everything else. */
const STEP = cluster.local ? 14 : 4
/** More than a creation takes, which is asserted. */
const MOST = 70
const REFERENCE = 'whole'
const requests = Array.from({ length: MOST / STEP }, (_, index) => 1 + index * STEP)
const victims = requests.flatMap((request) => [
  { name: `before${request}`, request, answerLost: false },
  { name: `after${request}`, request: request + Math.floor(STEP / 2), answerLost: true },
])
const names = [REFERENCE, ...victims.map(({ name }) => name)]

/** How far the operators' clocks are ahead. */
let later = 0
const emptied = new Set<string>()
// Made once: what is asked here is whether a key is made anew, which shows by the next one of these.
const keys = {
  rsa2048: await Promise.all([1, 2, 3].map(() => generateDkimKey('rsa2048'))),
  ed25519: await Promise.all([1, 2, 3].map(() => generateDkimKey('ed25519'))),
}
let turn = 0

async function startOperator(deaths: Map<string, { left: number; answerLost: boolean }>) {
  const { client: counted, writes, quiet } = await cluster.countingClient()
  const operator = prepareOperator(
    { namespaces: [namespace], engineImage: 'engine:1', identity: 'test', resyncMs: 600_000 },
    {
      client: mortal(counted, deaths),
      now: () => new Date(Date.now() + later),
      ensureBucket: async () => ({ ok: true, message: 'answers' }),
      emptyBucket: async ({ bucket }) => {
        emptied.add(bucket)
        return { outcome: 'removed' }
      },
      verifyDns: async ({ records }) => records.map((record) => ({ ...record, state: 'Published' as const })),
      generateDkimKey: async (algorithm) => keys[algorithm][turn++ % 3] ?? assert.fail(),
    },
  )
  await operator.lead()
  return { operator, writes, quiet: () => quiet(operator) }
}

/**
 * Counts the requests about each MailServer; from its last one on all of them fail. One that was made before does not
 * count: how often an operator asks again before it has heard of its own writes depends on the machine.
 */
function mortal(inner: KubeApi, deaths: Map<string, { left: number; answerLost: boolean }>): KubeApi {
  const made = new Set<string>()
  async function attempt<T>(request: string, about: string, send: () => Promise<T>): Promise<T> {
    const death = deaths.get(about.split(/[-.]/)[0] ?? '')
    if (!death) return send()
    const dead = new KubeError('connection reset', { kind: 'Transient', code: 0 })
    if (death.left <= 0) throw dead
    if (made.has(request)) return send()
    made.add(request)
    death.left -= 1
    if (death.left > 0) return send()
    if (death.answerLost) await send().catch(() => {})
    throw dead
  }
  const requestOf = (verb: string, { plural }: Resource, name: string, more = '') => `${verb} ${plural} ${name} ${more}`
  const selected = (selector = '') => /instance=([^,]+)/.exec(selector)?.[1] ?? ''
  return {
    ...inner,
    get: (resource, key) => attempt(requestOf('get', resource, key.name), key.name, () => inner.get(resource, key)),
    find: (resource, key) => attempt(requestOf('find', resource, key.name), key.name, () => inner.find(resource, key)),
    list: (resource, options) => {
      const about = selected(options?.labelSelector)
      return attempt(requestOf('list', resource, about), about, () => inner.list(resource, options))
    },
    create: (resource, object) => {
      const { name } = object.metadata
      // Events are written beside the reconcile, in no order.
      const about = object.kind === 'Event' ? '' : name
      return attempt(requestOf('create', resource, name), about, () => inner.create(resource, object))
    },
    replace: (resource, object, sub) => {
      const { name } = object.metadata
      return attempt(requestOf('replace', resource, name, sub), name, () => inner.replace(resource, object, sub))
    },
    apply: (resource, object, options) => {
      const { name } = object.metadata
      const request = requestOf('apply', resource, name, JSON.stringify(object))
      return attempt(request, name, () => inner.apply(resource, object, options))
    },
    mergePatch: (resource, key, patch, options) => {
      const request = requestOf('patch', resource, key.name, JSON.stringify(patch))
      return attempt(request, key.name, () => inner.mergePatch(resource, key, patch, options))
    },
    delete: (resource, key, options) =>
      attempt(requestOf('delete', resource, key.name), key.name, () => inner.delete(resource, key, options)),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

async function eventually(is: () => Promise<string[]>, what: string): Promise<void> {
  const deadline = Date.now() + 100_000
  for (;;) {
    const missing = await is()
    if (missing.length === 0) return
    if (Date.now() > deadline) throw new Error(`never ${what}: ${missing.join(', ')}`)
    await sleep(100)
  }
}

const servers = async () => (await client.list<MailServer>(MailServerResource, { namespace })).items

/** Names of MailServers of which `is` does not hold. */
const notYet = async (is: (server: MailServer) => boolean) => {
  const found = new Map((await servers()).map((server) => [server.metadata.name, server]))
  return names.filter((name) => {
    const server = found.get(name)
    return !server || !is(server)
  })
}

/** Every object by label, in the words of any server: "Secret/SERVER-dkim-DOMAIN-DATE". */
async function objectsOf(): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>(names.map((name) => [name, []]))
  for (const resource of [...BUILT_IN.filter(({ kind }) => kind !== 'EndpointSlice'), newestVersions().Cluster]) {
    const { items } = await client.list(resource, { namespace, labelSelector: 'app.kubernetes.io/managed-by' })
    for (const object of items) {
      const name = object.metadata.name.split('-')[0] ?? ''
      const id = idOf(object).replace(cluster.domainOf(name), 'DOMAIN').replaceAll(name, 'SERVER')
      all.get(name)?.push(id.replace(/\d{8}/, 'DATE'))
    }
  }
  return all
}

/** What is generated once: a changed value would be another key than the one in DNS. */
async function generated(): Promise<Map<string, string>> {
  const { items } = await client.list(Secret, { namespace, labelSelector: 'app.kubernetes.io/managed-by' })
  const secretOf = ({ metadata, data = {} }: KubeObject): string | undefined => {
    if (metadata.name.endsWith('-admin')) return data.token
    if (metadata.name.endsWith('-tls-ca')) return data['tls.crt']
    return data['private.pem']
  }
  return new Map(
    items.flatMap((secret): [string, string][] => {
      const text = secretOf(secret)
      return text === undefined ? [] : [[secret.metadata.name, text]]
    }),
  )
}

/**
 * @param change what the operators are to carry out
 * @param done holds once it is
 * @param retired names of Secrets that it does away with
 */
async function surviving(
  change: () => Promise<unknown>,
  done: (server: MailServer) => boolean,
  retired = /^$/,
): Promise<void> {
  const deaths = new Map(victims.map(({ name, request, answerLost }) => [name, { left: request, answerLost }]))
  const first = await startOperator(deaths)
  const alive = (name: string) => (deaths.get(name)?.left ?? 1) > 0
  try {
    await change()
    await eventually(async () => (await notYet(done)).filter(alive), 'done or dead')
  } finally {
    await first.operator[Symbol.asyncDispose]()
  }
  assert.ok(
    victims.some(({ name }) => alive(name)),
    'the change takes more requests than were tried',
  )
  assert.ok(victims.some(({ name }) => !alive(name)))
  const before = await generated()

  const second = await startOperator(new Map())
  try {
    await eventually(() => notYet((server) => done(server) && allIsPublished(server)), 'done')
    await second.quiet()
    const written = second.writes.length
    for (const name of names) second.operator.controllers[0]?.queue.add({ namespace, name })
    await second.quiet()
    assert.deepEqual(second.writes.slice(written), [], 'settled is silent')
  } finally {
    await second.operator[Symbol.asyncDispose]()
  }
  const objects = await objectsOf()
  const whole = objects.get(REFERENCE)?.sort()
  for (const [name, ids] of objects) assert.deepEqual(ids.sort(), whole, name)
  const after = await generated()
  for (const [name, text] of before) if (!retired.test(name)) assert.equal(after.get(name), text, name)
}

const allIsPublished = ({ status }: MailServer) => findCondition(status?.conditions, 'DNSReady')?.status === 'True'
/** Of every domain, or of one. */
const keyStates = ({ status }: MailServer, domain?: string) => {
  const keys = (status?.dkim?.keys ?? []).filter((key) => domain === undefined || key.domain === domain)
  return [...new Set(keys.map(({ algorithm, state }) => `${algorithm} ${state}`))].sort().join(', ')
}
const patchAll = (patchOf: (name: string) => unknown) =>
  Promise.all(names.map((name) => client.mergePatch(MailServerResource, { namespace, name }, patchOf(name))))
const lookAt = () => patchAll(() => ({ metadata: { annotations: { 'mail.openova.io/reconcile-at': String(later) } } }))

test('a creation', async () => {
  const data = { accessKey: 'YQ==', secretKey: 'Yg==' }
  await client.create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's3', namespace }, data })
  const make = (name: string) => {
    const s3 = { endpoint: 'http://127.0.0.1:9', bucket: name, credentialsSecretRef: { name: 's3' } }
    return cluster.mailServer(name, { deletionPolicy: 'Delete', storage: { s3 } })
  }
  await surviving(() => Promise.all(names.map(make)), isReady)
})

test('a domain that is added', async () => {
  const added = (name: string) => `${name}.example.net`
  await surviving(
    () => patchAll((name) => ({ spec: { domains: [{ name: cluster.domainOf(name) }, { name: added(name) }] } })),
    (server) => isReady(server) && keyStates(server, added(server.metadata.name)) === 'ed25519 Active, rsa2048 Active',
  )
})

test('each step of a rotation of DKIM keys', async () => {
  await surviving(
    () => patchAll(() => ({ metadata: { annotations: { [ROTATE_DKIM]: 'now' } } })),
    (server) =>
      server.status?.dkim?.rotationRequest === 'now' &&
      keyStates(server) === 'ed25519 Active, ed25519 Publishing, rsa2048 Active, rsa2048 Publishing',
  )
  later = 2 * 3_600_000 // longer than the records' TTL
  await surviving(
    lookAt,
    (server) => keyStates(server) === 'ed25519 Active, ed25519 Retiring, rsa2048 Active, rsa2048 Retiring',
  )
  later += 8 * 86_400_000
  await surviving(lookAt, (server) => keyStates(server) === 'ed25519 Active, rsa2048 Active', /-(default|ed25519)$/)
})

test('a deletion that empties the bucket', async () => {
  later = 0 // within the patience that a bucket is given
  const deaths = new Map(victims.map(({ name, request, answerLost }) => [name, { left: request, answerLost }]))
  const first = await startOperator(deaths)
  await Promise.all(names.map((name) => client.delete(MailServerResource, { namespace, name })))
  const gone = async (all: readonly string[]) => {
    const left = new Set((await servers()).map(({ metadata }) => metadata.name))
    return all.filter((name) => left.has(name))
  }
  await eventually(() => gone(names.filter((name) => (deaths.get(name)?.left ?? 1) > 0)), 'gone or dead')
  await first.operator[Symbol.asyncDispose]()
  const second = await startOperator(new Map())
  await eventually(() => gone(names), 'gone')
  await second.operator[Symbol.asyncDispose]()
  assert.deepEqual([...emptied].sort(), names.toSorted())
  await eventually(async () => [...(await objectsOf())].flatMap(([, ids]) => ids), 'collected')
})
