/** The part that Mailbox/changes, Email/changes and Thread/changes share (RFC 8620 §5.2). */
import type { z } from 'zod'
import type { ObjectType } from '../../mailstore/types.ts'
import { changesArguments, ownAccount } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type CallContext, type JmapDeps, type Method } from '../method.ts'
import { MethodError } from '../wire/errors.ts'
import { parseState, stateOf } from '../wire/ids.ts'

export type ChangesArguments = z.output<typeof changesArguments>

export interface ChangesResponse {
  accountId: string
  oldState: string
  newState: string
  hasMoreChanges: boolean
  created: string[]
  updated: string[]
  destroyed: string[]
}

/** The most ids in one answer; what is more comes with the next call. */
const MAX_CHANGES = 5_000

/** A changes method of one type; `more` adds what the type has beside. */
export function changesMethod<More extends object>(
  type: ObjectType,
  more: (changes: ChangesResponse) => More,
): Method<ChangesArguments, ChangesResponse & More> {
  return {
    capability: MAIL,
    parse: argumentsOf(changesArguments),
    async run(args: ChangesArguments, context: CallContext, { mailstore }: JmapDeps) {
      const accountId = ownAccount(args.accountId, context)
      const since = parseState(args.sinceState)
      const changes = await mailstore.changes(
        accountId,
        type,
        since,
        Math.min(args.maxChanges ?? MAX_CHANGES, MAX_CHANGES),
      )
      if (!changes) throw new MethodError('cannotCalculateChanges') // the log no longer reaches sinceState
      const { created, updated, destroyed, hasMoreChanges, newState } = changes
      const response: ChangesResponse = {
        accountId: args.accountId,
        oldState: args.sinceState,
        newState: stateOf(newState),
        hasMoreChanges,
        created,
        updated,
        destroyed,
      }
      return { ...response, ...more(response) }
    },
  }
}
