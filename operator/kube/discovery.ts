/** Which version of a kind is served, for kinds that others install (CRDs) and that may come and go. */

import { isKubeError } from './errors.ts'
import type { Resource } from './types.ts'

interface ApiGroup {
  preferredVersion?: { version: string }
  versions?: { version: string }[]
}
interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[]
}

/** A CRD that was just installed is seen after this long, one that was removed as well. */
const FOUND_MS = 60_000
const ABSENT_MS = 10_000
/** Kinds of one group that are looked up one after the other share its documents. */
const DOCUMENT_MS = 1_000

export type Discover = (group: string, kind: string) => Promise<Resource | undefined>

/**
 * @param read GET of a path as JSON; throws KubeError
 * @returns a function that answers the preferred version's resource, else the first served version's that has the kind
 */
export function createDiscovery(
  read: (path: string) => Promise<unknown>,
  now: () => number = () => performance.now(),
): Discover {
  const known = new Map<string, { until: number; answer: Promise<Resource | undefined> }>()

  const documents = new Map<string, { until: number; answer: Promise<unknown> }>()
  function document(path: string): Promise<unknown> {
    for (const [other, { until }] of documents) if (now() >= until) documents.delete(other)
    const answer = documents.get(path)?.answer ?? absentAsUndefined(read(path))
    documents.set(path, { until: now() + DOCUMENT_MS, answer })
    answer.catch(() => documents.delete(path))
    return answer
  }

  async function lookUp(group: string, kind: string): Promise<Resource | undefined> {
    for (const version of await versionsOf(group)) {
      const path = group ? `/apis/${group}/${version}` : `/api/${version}`
      const list = (await document(path)) as ApiResourceList | undefined
      const found = list?.resources?.find((entry) => entry.kind === kind && !entry.name.includes('/'))
      if (found) return { group, version, kind, plural: found.name, namespaced: found.namespaced }
    }
    return undefined
  }

  async function versionsOf(group: string): Promise<string[]> {
    if (!group) return ['v1']
    const found = (await document(`/apis/${group}`)) as ApiGroup | undefined
    const versions = (found?.versions ?? []).map((entry) => entry.version)
    const preferred = found?.preferredVersion?.version
    return preferred ? [preferred, ...versions.filter((version) => version !== preferred)] : versions
  }

  return (group, kind) => {
    const name = `${group}/${kind}`
    const cached = known.get(name)
    if (cached && now() < cached.until) return cached.answer
    const entry = { until: now() + FOUND_MS, answer: lookUp(group, kind) }
    known.set(name, entry)
    entry.answer.then(
      (found) => {
        if (!found) entry.until = now() + ABSENT_MS
      },
      () => known.delete(name), // an error is nobody's answer: ask again
    )
    return entry.answer
  }
}

async function absentAsUndefined(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined
    throw error
  }
}
