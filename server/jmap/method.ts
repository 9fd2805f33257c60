/** What a JMAP method is. The dispatcher resolves references, checks, runs and catches; a method only says what it does. */
import type { z } from 'zod'
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { EngineConfig } from '../config.ts'
import type { Mailstore } from '../mailstore/types.ts'
import type { Submitter } from '../queue/types.ts'
import { MethodError } from './wire/errors.ts'

/** The parts that methods work with. */
export interface JmapDeps {
  mailstore: Mailstore
  accounts: Accounts
  submitter: Submitter
  /** Fields show the newest configuration. */
  config: EngineConfig
  now: () => Date
}

/** One method call of one request. */
export interface CallContext {
  /** Who asks. */
  account: Account
  remoteAddress: string
  /** Ids by creation id, of this request (RFC 8620 §5.3). */
  createdIds: Map<string, string>
  /** Appends another call, whose response follows under the same call id (RFC 8621 §7.5). */
  follow: (name: string, args: Record<string, unknown>) => void
}

export interface Method<Args, Response extends object> {
  capability: string
  /** @throws MethodError invalidArguments */
  parse: (args: unknown) => Args
  run: (args: Args, context: CallContext, deps: JmapDeps) => Promise<Response>
}

/** A method whose argument type nobody needs any more: as tables hold it. */
export interface AnyMethod {
  capability: string
  call: (args: unknown, context: CallContext, deps: JmapDeps) => Promise<object>
}

export function asAnyMethod<Args, Response extends object>(method: Method<Args, Response>): AnyMethod {
  return {
    capability: method.capability,
    call: async (args, context, deps) => method.run(method.parse(args), context, deps),
  }
}

/** A `parse` from a schema. */
export function argumentsOf<Schema extends z.ZodType>(schema: Schema): (args: unknown) => z.output<Schema> {
  return (args) => {
    const result = schema.safeParse(args)
    if (result.success) return result.data
    const problems = result.error.issues
      .slice(0, 10)
      .map(({ path, message }) => `${path.join('/') || '(arguments)'}: ${message}`)
    throw new MethodError('invalidArguments', problems.join('; '))
  }
}
