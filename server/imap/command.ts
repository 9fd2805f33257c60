/** What a command is, and what it may see of its session. */
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { EngineConfig } from '../config.ts'
import type { Mailstore } from '../mailstore/types.ts'
import type { Responses } from './responses.ts'
import type { SelectedMailbox, Told } from './selected.ts'
import type { CommandInput } from './wire/input.ts'

export interface ImapDeps {
  mailstore: Mailstore
  accounts: Accounts
  config: () => EngineConfig
  logger: Logger
  metrics: Registry
  now: () => Date
  /** Failed logins per client address, shared by all replicas; without it only the delay slows guessers. */
  throttle?: {
    /** @throws Unavailable */
    allowed(address: string): Promise<boolean>
    /** @throws Unavailable */
    failed(address: string): Promise<void>
  }
  /** What a failed login costs in time. Default one second. */
  failureDelayMs?: number
}

/** RFC 9051 §3. Logout is no state that a command could run in. */
export type SessionState = 'notAuthenticated' | 'authenticated' | 'selected'

/** What ENABLE, or a command that implies it, has switched on. */
export type Extension = 'CONDSTORE' | 'QRESYNC' | 'UTF8=ACCEPT' | 'IMAP4REV2'

export interface Session {
  readonly id: string
  readonly remoteAddress: string
  readonly state: SessionState
  readonly enabled: ReadonlySet<Extension>
  /** UTF-8 in quoted strings and mailbox names. */
  readonly utf8: boolean
  /** Of the command that runs. */
  readonly tag: string
  /** @throws Refusal when nobody is logged in */
  readonly account: Account
  /** @throws Refusal when no mailbox is selected */
  readonly selected: SelectedMailbox
  /** How changes of the selected mailbox are told. */
  readonly told: Told
  enable(extension: Extension): void
  logIn(account: Account): void
  /** Makes it the selected mailbox; undefined leaves the selected state. */
  select(mailbox: SelectedMailbox | undefined): void
  /** Writes and flushes at once, from inside a command. */
  send(text: string): Promise<void>
  /** The client's next line; undefined when it is gone. @throws BadCommand when it is too long */
  readLine(): Promise<string | undefined>
  /** After the completion: closes the connection. */
  endAfterThis(): void
}

/** As the table holds it. */
export interface AnyCommand {
  states: readonly SessionState[]
  /** False for the commands during which EXPUNGE must not be told (RFC 9051 §7.5.1). */
  tellsExpunges: boolean
  /** Parses the arguments and begins. @throws BadCommand */
  start(input: CommandInput, session: Session, deps: ImapDeps): Responses
}

export interface Command<Arguments> {
  states: readonly SessionState[]
  tellsExpunges?: boolean
  /** After the name: begins with the space before the arguments, if there are any. @throws BadCommand */
  parse(input: CommandInput, session: Session, deps: ImapDeps): Arguments
  run(args: Arguments, session: Session, deps: ImapDeps): Responses
}

export function command<Arguments>({ states, tellsExpunges = true, parse, run }: Command<Arguments>): AnyCommand {
  return {
    states,
    tellsExpunges,
    start(input, session, deps) {
      const args = parse(input, session, deps)
      input.end()
      return run(args, session, deps)
    },
  }
}

/** For commands without arguments. */
export const noArguments = (): undefined => undefined

export const ANY_STATE: readonly SessionState[] = ['notAuthenticated', 'authenticated', 'selected']
export const LOGGED_IN: readonly SessionState[] = ['authenticated', 'selected']
export const SELECTED: readonly SessionState[] = ['selected']
