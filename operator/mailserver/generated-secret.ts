/**
 * A Secret whose content is generated once and kept. Before anything is made, the API is asked, because a cache that is
 * a moment behind must not cost a key.
 */

import { APPLIED_HASH } from '../api/group.ts'
import { withHash } from '../kube/apply-if-changed.ts'
import { isKubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { idOf } from './kinds.ts'
import { secretText } from './observe.ts'

/** Field manager of generated contents: apart from what is applied, which never mentions them. */
const MANAGER = 'mail-operator-keys'

export interface GeneratedSecret {
  /** Labels, type and owner. */
  secret: KubeObject
  /** Without these it is made. */
  keys: readonly string[]
  generate: () => Promise<Record<string, string>>
  /** Says no when it has to be made anew. */
  isValid?: (text: Record<string, string>) => boolean
}

/**
 * @param live the server's objects by id; what is made or found elsewhere is put into it
 * @returns its decoded content
 * @throws KubeError
 */
export async function ensureGenerated(
  { secret, keys, generate, isValid = () => true }: GeneratedSecret,
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
  const existing = await client.find(Secret, key)
  if (existing) live.set(idOf(secret), existing)
  const fresh = usable(existing)
  if (fresh) return fresh
  const text = await generate()
  const data = Object.fromEntries(
    Object.entries(text).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  )
  if (existing) {
    live.set(idOf(secret), await client.mergePatch(Secret, key, { data }, { fieldManager: MANAGER }))
    return text
  }
  try {
    live.set(idOf(secret), await client.create(Secret, { ...withoutOwner(withHash(secret, APPLIED_HASH)), data }))
  } catch (error) {
    // Somebody was faster: what they made counts.
    const theirs = isKubeError(error, 'AlreadyExists') ? usable(await client.find(Secret, key)) : undefined
    if (!theirs) throw error
    return theirs
  }
  return text
}

/**
 * The apply that follows makes it owned: only what an apply has set can an apply take away again, and a Secret that
 * becomes retained must lose its owner.
 */
function withoutOwner({ metadata, ...object }: KubeObject): KubeObject {
  const { ownerReferences: _, ...rest } = metadata
  return { ...object, metadata: rest }
}
