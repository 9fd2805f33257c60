/** What is applied and what goes, and when, by the state of the rollout. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { APPLIED_HASH } from '../api/group.ts'
import type { MailServerSpecInput } from '../api/mail-server-spec.ts'
import { withHash } from '../kube/apply-if-changed.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { act } from './act.ts'
import { certificateGroups } from './desired/certificate-groups.ts'
import { desiredObjects } from './desired/objects.ts'
import { idOf } from './kinds.ts'
import { contextOf } from './testing/context.ts'

const REPLICAS = 2
const DONE = { updatedReplicas: REPLICAS, replicas: REPLICAS, availableReplicas: REPLICAS }

/** The objects of a spec as they are in the cluster, its Deployment in this state. */
function objectsOf(spec: Partial<MailServerSpecInput>, rollout: object): Map<string, KubeObject> {
  const objects = desiredObjects(contextOf(spec)).map((object): KubeObject => {
    const live = withHash(object, APPLIED_HASH)
    return object.kind === 'Deployment' ? { ...live, status: rollout } : live
  })
  return new Map(objects.map((object) => [idOf(object), object]))
}

/** "apply Secret/…", … that come of a spec where there is this. */
async function changes(spec: Partial<MailServerSpecInput>, children: Map<string, KubeObject>): Promise<string[]> {
  const done: string[] = []
  const client: Pick<KubeClient, 'find' | 'apply' | 'delete' | 'mergePatch'> = {
    find: async () => undefined,
    apply: async <T extends KubeObject>(_: unknown, object: KubeObject) => {
      done.push(`apply ${idOf(object)}`)
      return object as T
    },
    mergePatch: async <T extends KubeObject>(resource: { kind: string }, { name }: { name: string }) => {
      done.push(`patch ${resource.kind}/${name}`)
      return {} as T
    },
    delete: async (resource, { name }) => {
      done.push(`delete ${resource.kind}/${name}`)
      return true
    },
  }
  const context = contextOf(spec)
  const observed = {
    key: { namespace: 'communication', name: 'stalwart' },
    children,
    served: context.facts.served,
    held: {},
    secrets: {},
    addresses: [],
    webAddresses: [],
    certificates: certificateGroups('stalwart', context.spec, new Map()),
  }
  const material = { adminToken: 't', certificate: undefined, dkimKeys: [], dkimTrouble: [], retired: [] }
  await act({ context, observed, material, blocked: [], free: new Set<string>(), preflight: undefined }, client)
  return done
}

const GIVEN = { tls: { secretName: 'given' } }
/** What is there once the new template is applied, beside the Secret of before. */
function rolling(rollout: object): Map<string, KubeObject> {
  const before = objectsOf({}, DONE).get('Secret/stalwart-tls')
  assert.ok(before)
  return objectsOf(GIVEN, rollout).set(idOf(before), before)
}

test('a mounted Secret that is no longer wanted is there until the last Pod that mounts it is gone', async () => {
  const begun = await changes(GIVEN, objectsOf({}, DONE))
  assert.ok(begun.includes('apply Deployment/stalwart'))
  assert.equal(begun.includes('delete Secret/stalwart-tls'), false, 'in the act that begins the rollout')
  for (const rollout of [
    {},
    { ...DONE, updatedReplicas: 1, replicas: 3 },
    { ...DONE, availableReplicas: 1 },
    { ...DONE, terminatingReplicas: 1 },
  ]) {
    assert.deepEqual(await changes(GIVEN, rolling(rollout)), [], JSON.stringify(rollout))
  }
  assert.deepEqual(await changes(GIVEN, rolling(DONE)), ['delete Secret/stalwart-tls'])
})

test('a Secret that the spec names is the user’s: it is never removed, and is no longer owned', async () => {
  const named = { tls: { secretName: 'stalwart-tls' } }
  const before = objectsOf({}, DONE)
  assert.deepEqual(
    (await changes(named, before)).filter((change) => change.endsWith('Secret/stalwart-tls')),
    ['patch Secret/stalwart-tls'],
  )
})
