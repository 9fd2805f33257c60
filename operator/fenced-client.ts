/** A client that writes only while its process leads: whoever lost the Lease unnoticed must not act on. */

import type { KubeApi } from './kube/client.ts'
import { KubeError } from './kube/errors.ts'

/** Reads and watches pass; a write by a process that does not lead throws a KubeError before it is sent. */
export function fencedClient(client: KubeApi, isLeader: () => boolean): KubeApi {
  const fenced = <Arguments extends unknown[], Result>(write: (...given: Arguments) => Promise<Result>) => {
    return async (...given: Arguments): Promise<Result> => {
      if (!isLeader()) throw new KubeError('not written: this process does not lead', { kind: 'Transient', code: 0 })
      return write(...given)
    }
  }
  return {
    ...client,
    create: fenced(client.create) as KubeApi['create'],
    replace: fenced(client.replace) as KubeApi['replace'],
    apply: fenced(client.apply) as KubeApi['apply'],
    mergePatch: fenced(client.mergePatch) as KubeApi['mergePatch'],
    delete: fenced(client.delete),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}
