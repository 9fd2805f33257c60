/**
 * A Secret whose content is generated once and kept. It is created, never applied, because a cache that is a moment
 * behind must not cost a key.
 */

import { APPLIED_HASH } from '../api/group.ts'
import { withHash } from '../kube/apply-if-changed.ts'
import { isKubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import type { DesiredContext } from './desired/context.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'
import { belongsTo, NameTaken } from './ownership.ts'

/** Field manager of generated contents: apart from what is applied, which never mentions them. */
const MANAGER = 'mail-operator-keys'

export interface GeneratedSecret {
  /** Whose it is. */
  server: DesiredContext['server']
  /** Labels, type and owner. */
  secret: KubeObject
  /** Without these it is made. */
  keys: readonly string[]
  generate: () => Promise<Record<string, string>>
  /** Says no when it has to be made anew. */
  isValid?: (text: Record<string, string>) => boolean
  /** Says no to a Secret of somebody else: it is taken as it is, and nothing is written into it. */
  isOurs?: (existing: KubeObject) => boolean
}

/**
 * @param live the server's objects by id; what is made or found elsewhere is put into it
 * @returns its decoded content
 * @throws KubeError
 * @throws NameTaken
 */
export async function ensureGenerated(
  { server, secret, keys, generate, isValid = () => true, isOurs = () => true }: GeneratedSecret,
  live: Map<string, KubeObject>,
  client: Pick<KubeClient, 'find' | 'create' | 'mergePatch'>,
): Promise<Record<string, string>> {
  const usable = (found: KubeObject | undefined): Record<string, string> | undefined => {
    const text = found ? secretText(found) : undefined
    return text && keys.every((key) => text[key]) && isValid(text) ? text : undefined
  }
  const cached = usable(live.get(idOf(secret)))
  if (cached) return cached
  const key = { namespace: secret.metadata.namespace ?? '', name: secret.metadata.name }
  const find = async (): Promise<KubeObject | undefined> => {
    const found = await client.find(Secret, key)
    if (found && !belongsTo(server, found)) throw new NameTaken(found, server.name)
    return found
  }
  // What the cache shows and is of no use may be old; what it does not show is most likely not there.
  const existing = live.has(idOf(secret)) ? await find() : undefined
  if (existing) live.set(idOf(secret), existing)
  const fresh = usable(existing)
  if (fresh) return fresh
  if (existing && !isOurs(existing)) return secretText(existing)
  const text = await generate()
  const data = Object.fromEntries(
    Object.entries(text).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  )
  const patch = async () =>
    live.set(idOf(secret), await client.mergePatch(Secret, key, { data }, { fieldManager: MANAGER }))
  if (existing) {
    await patch()
    return text
  }
  try {
    live.set(idOf(secret), await client.create(Secret, { ...withoutOwner(withHash(secret, APPLIED_HASH)), data }))
  } catch (error) {
    const theirs = isKubeError(error, 'AlreadyExists') ? await find() : undefined
    if (!theirs) throw error
    live.set(idOf(secret), theirs)
    // Somebody was faster, or the cache is a moment behind: what was made first counts.
    const first = usable(theirs)
    if (first) return first
    if (!isOurs(theirs)) return secretText(theirs)
    await patch()
  }
  return text
}

/** The apply that follows makes it owned: only what an apply has set can an apply take away again. */
function withoutOwner({ metadata, ...object }: KubeObject): KubeObject {
  const { ownerReferences: _, ...rest } = metadata
  return { ...object, metadata: rest }
}
