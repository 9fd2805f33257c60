/** Watches: order, selectors, bookmarks, old revisions, initial events, the end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { connect, objectOf, type WatchEvent } from './client.ts'

const { api, namespace } = await connect()
const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
const create = async (name: string, labels: JsonObject = {}) =>
  objectOf(await api.request('POST', configMaps, { body: { metadata: { name, labels } } }))
const label = (name: string, labels: JsonObject) =>
  api.request('PATCH', `${configMaps}/${name}`, {
    body: { metadata: { labels } },
    type: 'application/merge-patch+json',
  })
const revision = async () => (await api.request('GET', configMaps)).body.metadata as { resourceVersion: string }

/** The events of a watch up to the one that `last` recognises. */
async function events(query: string, last: (event: WatchEvent) => boolean, accept?: string): Promise<WatchEvent[]> {
  const seen: WatchEvent[] = []
  for await (const event of api.watch(`${configMaps}?watch=true&timeoutSeconds=20&${query}`, accept)) {
    seen.push(event)
    if (last(event)) break
  }
  return seen
}
const text = ({ type, object }: WatchEvent) => `${type} ${object.metadata.name}`

test('from a revision on, every change comes once and in order', async () => {
  const { resourceVersion } = await revision()
  await create('a')
  await label('a', { x: 'y' })
  await api.request('DELETE', `${configMaps}/a`)
  const seen = await events(`resourceVersion=${resourceVersion}`, ({ type }) => type === 'DELETED')
  assert.deepEqual(seen.map(text), ['ADDED a', 'MODIFIED a', 'DELETED a'])
  const revisions = seen.map(({ object }) => Number(object.metadata.resourceVersion))
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].sort((a, b) => a - b),
  )
  assert.equal(seen[0]?.object.kind, 'ConfigMap')
})

test('what comes to match is ADDED, what ceases to is DELETED', async () => {
  const { resourceVersion } = await revision()
  await create('b')
  await label('b', { pick: 'me' })
  await label('b', { pick: 'me', more: '1' })
  await label('b', { pick: null })
  const seen = await events(
    `resourceVersion=${resourceVersion}&labelSelector=pick%3Dme`,
    ({ type }) => type === 'DELETED',
  )
  assert.deepEqual(seen.map(text), ['ADDED b', 'MODIFIED b', 'DELETED b'])
})

test('without a revision the present comes first', async () => {
  await create('c', { suite: 'present' })
  const watching = events('labelSelector=suite%3Dpresent', ({ object }) => object.metadata.name === 'd')
  await create('d', { suite: 'present' })
  assert.deepEqual((await watching).map(text), ['ADDED c', 'ADDED d'])
})

test('sendInitialEvents ends the present with an annotated bookmark', async () => {
  await create('e', { suite: 'initial' })
  const query =
    'labelSelector=suite%3Dinitial&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const seen = await events(query, ({ type }) => type === 'BOOKMARK')
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  )
  assert.deepEqual(seen[1]?.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' })
  const refused = await api.request('GET', `${configMaps}?watch=true&sendInitialEvents=true`)
  assert.equal(refused.status, 422)
})

test('timeoutSeconds ends the watch', async () => {
  const { resourceVersion } = await revision()
  const seen: WatchEvent[] = []
  for await (const event of api.watch(`${configMaps}?watch=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`))
    seen.push(event)
  assert.deepEqual(seen, [])
})

test('a table watch sends rows', async () => {
  await create('f', { suite: 'table' })
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const [first] = await events('labelSelector=suite%3Dtable', () => true, accept)
  const rows = first?.object.rows as { cells: unknown[] }[] | undefined
  assert.deepEqual([first?.object.kind, rows?.[0]?.cells.slice(0, 2)], ['Table', ['f', 0]])
})

test('a metadata watch sends PartialObjectMetadata', async () => {
  await create('g', { suite: 'metadata' })
  const [first] = await events(
    'labelSelector=suite%3Dmetadata',
    () => true,
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  )
  assert.deepEqual([first?.object.kind, first?.object.metadata.name], ['PartialObjectMetadata', 'g'])
})
