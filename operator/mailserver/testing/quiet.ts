/**
 * For tests: whether anything is on its way between a Kubernetes API and those who use it by a client. A test that asserts
 * that nothing is written would otherwise have to guess how long news takes.
 */

import type { KubeApi } from '../../kube/client.ts'
import type { KubeClient, KubeObject, ListOptions, Resource } from '../../kube/types.ts'
import type { WatchEvent, WatchOptions } from '../../kube/watch.ts'

export interface Listener {
  /** The client to use: its lists, watches and calls are known. */
  client: KubeApi
  /** Calls that are not answered yet. */
  underWay(): number
  /** True when every watch, or those of one kind, has told what the API has now, and its user has taken it in. */
  hasHeardAll(api: Pick<KubeClient, 'list'>, of?: Resource): Promise<boolean>
}

/** What the user of one watch knows: resourceVersions by uid. */
interface View {
  resource: Resource
  scope: ListOptions
  known: Map<string, string>
}

export function listening(inner: KubeApi): Listener {
  let calls = 0
  const open = new Set<View>()
  /** Lists that a watch may go on from, and where watches have ended, by kind and selection. */
  const listed = new Map<string, Map<string, string>>()
  const ended = new Map<string, Map<string, string>>()

  async function counted<T>(call: () => Promise<T>): Promise<T> {
    calls += 1
    try {
      return await call()
    } finally {
      calls -= 1
    }
  }

  async function* watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const scope = scopeOf(options)
    const key = keyOf(resource, scope)
    const from = listed.get(`${key} ${options.resourceVersion}`) ?? ended.get(key)
    const view: View = { resource, scope, known: new Map(from) }
    open.add(view)
    try {
      for await (const event of inner.watch<T>(resource, options)) {
        yield event
        // Who asks for the next one has taken this one in.
        if (event.type !== 'BOOKMARK') note(view, event.object, event.type === 'DELETED')
      }
    } finally {
      open.delete(view)
      ended.set(key, view.known)
    }
  }

  const client: KubeApi = {
    ...inner,
    watch,
    get: (...args) => counted(() => inner.get(...args)),
    find: (...args) => counted(() => inner.find(...args)),
    create: (...args) => counted(() => inner.create(...args)),
    replace: (...args) => counted(() => inner.replace(...args)),
    apply: (...args) => counted(() => inner.apply(...args)),
    mergePatch: (...args) => counted(() => inner.mergePatch(...args)),
    delete: (...args) => counted(() => inner.delete(...args)),
    raw: (...args) => counted(() => inner.raw(...args)),
    discover: (...args) => counted(() => inner.discover(...args)),
    async list(resource, options = {}, transform) {
      const answer = await counted(() => inner.list(resource, options, transform))
      listed.set(`${keyOf(resource, scopeOf(options))} ${answer.resourceVersion}`, versionsOf(answer.items))
      return answer
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  return {
    client,
    underWay: () => calls,
    async hasHeardAll(api, of) {
      for (const { resource, scope, known } of [...open]) {
        if (of && of.plural !== resource.plural) continue
        const present = versionsOf((await api.list(resource, scope)).items)
        if (present.size !== known.size) return false
        for (const [uid, version] of present) if (known.get(uid) !== version) return false
      }
      return true
    },
  }
}

const scopeOf = ({ namespace, labelSelector, fieldSelector }: ListOptions): ListOptions => ({
  ...(namespace ? { namespace } : {}),
  ...(labelSelector ? { labelSelector } : {}),
  ...(fieldSelector ? { fieldSelector } : {}),
})

const keyOf = ({ group, version, plural }: Resource, scope: ListOptions): string =>
  JSON.stringify([group, version, plural, scope])

const versionsOf = (items: readonly KubeObject[]): Map<string, string> =>
  new Map(items.map(({ metadata }) => [metadata.uid ?? '', metadata.resourceVersion ?? '']))

function note({ known }: View, { metadata }: KubeObject, gone: boolean): void {
  if (gone) known.delete(metadata.uid ?? '')
  else known.set(metadata.uid ?? '', metadata.resourceVersion ?? '')
}
