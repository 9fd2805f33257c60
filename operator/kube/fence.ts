/** The fence between a process that leads and one that no longer does: checked before every act, not once per task. */

import { KubeError } from './errors.ts'

/** @throws NotLeading when this process must not act */
export type Fence = () => void

/** Not done, because this process does not lead: another one may be at it. */
export class NotLeading extends KubeError {
  override name = 'NotLeading'
  constructor() {
    super('not done: this process does not lead', { kind: 'Transient', code: 0 })
  }
}

export function leaderFence(isLeader: () => boolean): Fence {
  return () => {
    if (!isLeader()) throw new NotLeading()
  }
}
