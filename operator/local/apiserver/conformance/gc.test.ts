/** Owners and their dependents, namespaces and what is in them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject, KubeObject } from '../json.ts'
import { connect, eventually, objectOf } from './client.ts'

const { api, namespace } = await connect()
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
const create = async (name: string, metadata: JsonObject = {}) =>
  objectOf(await api.request('POST', configMaps, { body: { metadata: { name, ...metadata } } }))
const owned = (owner: KubeObject, more: JsonObject = {}) => ({
  ownerReferences: [
    { apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid ?? '', ...more },
  ],
})
const get = (name: string) => api.request('GET', `${configMaps}/${name}`)
const gone = (name: string) =>
  eventually(async () => ((await get(name)).status === 404 ? true : undefined), `${name} goes`)
const remove = (name: string, propagationPolicy: string) =>
  api.request('DELETE', `${configMaps}/${name}`, { body: { propagationPolicy } })

test('Background: the owner goes at once, its dependents after it', async () => {
  const owner = await create('background')
  const child = await create('background-child', owned(owner))
  await create('background-grandchild', owned(child))
  await remove('background', 'Background')
  assert.equal((await get('background')).status, 404)
  await gone('background-child')
  await gone('background-grandchild')
})

test('Foreground: the owner waits for dependents that block it', async () => {
  const owner = await create('foreground')
  await create('foreground-child', { ...owned(owner, { blockOwnerDeletion: true }), finalizers: ['example.org/hold'] })
  const { body } = await remove('foreground', 'Foreground')
  assert.deepEqual(objectOf({ body } as never).metadata.finalizers, ['foregroundDeletion'])
  const child = await eventually(async () => {
    const found = objectOf(await get('foreground-child'))
    return found.metadata.deletionTimestamp ? found : undefined
  }, 'the child is deleted')
  assert.ok(child.metadata.finalizers?.includes('example.org/hold'))
  assert.equal((await get('foreground')).status, 200)
  await api.request('PATCH', `${configMaps}/foreground-child`, {
    body: { metadata: { finalizers: null } },
    type: 'application/merge-patch+json',
  })
  await gone('foreground-child')
  await gone('foreground')
})

test('Orphan: dependents stay and forget their owner', async () => {
  const owner = await create('orphan')
  await create('orphan-child', owned(owner))
  await remove('orphan', 'Orphan')
  await gone('orphan')
  const child = await eventually(async () => {
    const found = objectOf(await get('orphan-child'))
    return found.metadata.ownerReferences ? undefined : found
  }, 'the reference goes')
  assert.equal(child.metadata.deletionTimestamp, undefined)
})

test('one of several owners is enough to stay', async () => {
  const [first, second] = [await create('first'), await create('second')]
  const references = [...owned(first).ownerReferences, ...owned(second).ownerReferences]
  await create('shared', { ownerReferences: references })
  await remove('first', 'Background')
  await eventually(
    async () => (objectOf(await get('shared')).metadata.ownerReferences?.length === 1 ? true : undefined),
    'the reference to the first owner goes',
  )
  await remove('second', 'Background')
  await gone('shared')
})

test('an owner of the same name but another uid is no owner', async () => {
  const owner = await create('namesake')
  await create('namesake-child', {
    ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'namesake', uid: 'other-uid' }],
  })
  await gone('namesake-child')
  assert.equal((await get('namesake')).status, 200)
  assert.ok(owner.metadata.uid)
})

test('a namespace is emptied before it goes, and takes nothing new meanwhile', async () => {
  const name = `${namespace}-own`
  await api.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } })
  const inside = `/api/v1/namespaces/${name}/configmaps`
  await api.request('POST', inside, { body: { metadata: { name: 'held', finalizers: ['example.org/hold'] } } })
  const deleted = objectOf(await api.request('DELETE', `/api/v1/namespaces/${name}`))
  assert.ok(deleted.metadata.deletionTimestamp)
  assert.equal((deleted.status as JsonObject).phase, 'Terminating')
  const refused = await api.request('POST', inside, { body: { metadata: { name: 'late' } } })
  assert.deepEqual(
    [refused.status, refused.body.message],
    [
      403,
      `configmaps "late" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
    ],
  )
  await eventually(
    async () => (objectOf(await api.request('GET', `${inside}/held`)).metadata.deletionTimestamp ? true : undefined),
    'the content is deleted',
  )
  await api.request('PATCH', `${inside}/held`, {
    body: { metadata: { finalizers: null } },
    type: 'application/merge-patch+json',
  })
  await eventually(
    async () => ((await api.request('GET', `/api/v1/namespaces/${name}`)).status === 404 ? true : undefined),
    'the namespace goes',
  )
})
