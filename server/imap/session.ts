/** One IMAP connection: reads commands in order, checks their state, runs them, tags and writes what they answer. */
import type { Duplex } from 'node:stream'
import type { Logger } from 'pino'
import type { Account } from '../accounts/accounts.ts'
import { Unavailable } from '../db/database.ts'
import type { StoreEvent } from '../mailstore/types.ts'
import { capabilities } from './capabilities.ts'
import type { AnyCommand, Extension, ImapDeps, Session, SessionState } from './command.ts'
import { commands } from './commands/table.ts'
import { completionOf } from './errors.ts'
import { commandLimits } from './limits.ts'
import { type ImapMetrics, imapMetrics } from './metrics.ts'
import { Output } from './output.ts'
import { bad, type Completion, formatCompletion, no, Refusal, type Response } from './responses.ts'
import type { SelectedMailbox, Told } from './selected.ts'
import { BadCommand, CommandInput } from './wire/input.ts'
import { ByteReader, type Pieces, readCommand } from './wire/reader.ts'

/** A client that sends nonsense is shown the door; fewer tries before it has logged in. */
const MAX_BAD_IN_A_ROW = 50
const MAX_BAD_BEFORE_LOGIN = 10
const MAX_LOGIN_FAILURES = 5
/** How long a client may take for the rest of a command it has begun, or to read what it asked for. */
const STALL_MS = 300_000
const TAG = /^[^\x00-\x20\x7f-\xff(){%*"\\+]+$/

export class ImapConnection implements Session {
  readonly id: string
  readonly remoteAddress: string
  readonly enabled = new Set<Extension>()
  tag = ''
  readonly #socket: Duplex
  readonly #deps: ImapDeps
  readonly #input: ByteReader
  readonly #output: Output
  readonly #metrics: ImapMetrics
  #log: Logger
  #account: Account | undefined
  #selected: SelectedMailbox | undefined
  #unsubscribe: (() => void) | undefined
  #badInARow = 0
  #loginFailures = 0
  #running = false
  /** A command waits for its client (IDLE, AUTHENTICATE): nothing is lost by ending it. */
  #waiting = false
  #closing: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Duplex, options: { id: string; remoteAddress: string }, deps: ImapDeps) {
    this.id = options.id
    this.remoteAddress = options.remoteAddress
    this.#socket = socket
    this.#deps = deps
    this.#log = deps.logger.child({ session: options.id, remoteAddress: options.remoteAddress })
    this.#metrics = imapMetrics(deps.metrics)
    this.#output = new Output(socket, STALL_MS)
    this.#input = new ByteReader(socket)
    socket.on('data', (chunk: Buffer) => {
      this.#timer?.refresh()
      this.#input.push(chunk)
    })
    socket.once('end', () => this.#input.end())
    socket.once('close', () => this.#input.end())
    socket.on('error', () => socket.destroy())
  }

  // What commands see

  get state(): SessionState {
    return this.#selected ? 'selected' : this.#account ? 'authenticated' : 'notAuthenticated'
  }

  get utf8(): boolean {
    return this.enabled.has('UTF8=ACCEPT') || this.enabled.has('IMAP4REV2')
  }

  get account(): Account {
    if (!this.#account) throw new Refusal('Log in first')
    return this.#account
  }

  get selected(): SelectedMailbox {
    if (!this.#selected) throw new Refusal('No mailbox selected')
    return this.#selected
  }

  get told(): Told {
    return { condstore: this.enabled.has('CONDSTORE'), qresync: this.enabled.has('QRESYNC') }
  }

  enable(extension: Extension): void {
    const aware = this.enabled.has('CONDSTORE')
    this.enabled.add(extension)
    if (extension === 'QRESYNC') this.enabled.add('CONDSTORE') // RFC 7162 §3.2.3
    // Where the MODSEQs that the client sees from here on begin (RFC 7162 §3.1).
    if (!aware && this.enabled.has('CONDSTORE') && this.#selected) {
      this.#output.write(`* OK [HIGHESTMODSEQ ${this.#selected.highestModSeq}] Highest\r\n`)
    }
  }

  logIn(account: Account): void {
    this.#account = account
    this.#log = this.#log.child({ account: account.id })
    this.#unsubscribe = this.#deps.mailstore.subscribe(account.id, (event: StoreEvent) =>
      this.#selected?.onEvent(event),
    )
    this.#log.info('logged in')
  }

  select(mailbox: SelectedMailbox | undefined): void {
    this.#selected = mailbox
  }

  async send(text: string): Promise<void> {
    this.#output.write(text)
    await this.#output.flush()
  }

  async readLine(): Promise<string | undefined> {
    this.#expect(this.#limits().imapIdleTimeoutMs)
    const line = await this.#input.readLine(commandLimits(this.#limits(), this.#account !== undefined).lineBytes)
    this.#stopExpecting()
    if (line === 'tooLong') throw new BadCommand('Line too long')
    return line?.toString('latin1')
  }

  endAfterThis(): void {
    this.#closing ??= ''
  }

  // The connection's life

  /** Until the connection is closed. Never rejects. */
  async run(): Promise<void> {
    this.#metrics.sessions.inc()
    this.#metrics.sessionsTotal.inc()
    const loginDeadline = setTimeout(() => this.close('Login took too long'), this.#limits().imapLoginTimeoutMs)
    try {
      this.#log.debug('session opened')
      this.#output.write(`* OK [CAPABILITY ${capabilities(this, this.#limits()).join(' ')}] IMAP server ready\r\n`)
      await this.#output.flush()
      while (this.#closing === undefined && (await this.#next())) if (this.#account) clearTimeout(loginDeadline)
      this.#bye()
    } catch (error) {
      this.#log.error({ err: error }, 'session failed')
      this.#closing ??= 'Internal error'
      this.#bye()
    } finally {
      clearTimeout(loginDeadline)
      this.#stopExpecting()
      this.#unsubscribe?.()
      await this.#flushed()
      this.#metrics.sessions.dec()
      this.#log.debug('session closed')
    }
  }

  /** Ends the session: after the command that runs, or at once between commands. */
  close(reason: string): void {
    if (this.#closing !== undefined) return
    this.#closing = reason
    if (!this.#running || this.#waiting) this.#bye()
  }

  #bye(): void {
    if (this.#socket.writableEnded || this.#socket.destroyed) return
    if (this.#closing) this.#output.write(`* BYE ${this.#closing}\r\n`)
    this.#output.send()
    this.#socket.end()
    this.#input.end()
    // What the client still sends is of no interest, and one that never closes is cut off.
    this.#socket.resume()
    const linger = setTimeout(() => this.#socket.destroy(), 2000)
    this.#socket.once('close', () => clearTimeout(linger))
  }

  /** What was said last has left this process, or never will. */
  #flushed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#socket.writableFinished || this.#socket.destroyed) resolve()
    this.#socket.once('finish', resolve)
    this.#socket.once('close', resolve)
    return promise
  }

  #limits() {
    return this.#deps.config().limits
  }

  /** Waits for the client: when it says nothing for so long, the session ends. */
  #expect(ms: number): void {
    this.#stopExpecting()
    this.#timer = setTimeout(() => this.close('Idle for too long'), ms)
  }

  #stopExpecting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined // refreshed no more
  }

  /** One command. False when the connection has come to its end. */
  async #next(): Promise<boolean> {
    this.#expect(this.#limits().imapIdleTimeoutMs)
    if (!(await this.#input.available())) return false
    this.#expect(STALL_MS)
    const read = await readCommand(this.#input, commandLimits(this.#limits(), this.#account !== undefined), () => {
      this.#output.write('+ OK\r\n')
      this.#output.send()
    })
    this.#stopExpecting()
    if (this.#closing !== undefined || read.kind === 'end') return false
    if (read.kind === 'fatal') {
      this.#closing = read.reason
      return false
    }
    if (read.kind === 'literalTooBig') await this.#refuseLiteral(read.start)
    else await this.#execute(read.pieces)
    return true
  }

  async #refuseLiteral(start: string): Promise<void> {
    const [tag = '*', name = ''] = start.split(' ')
    const append = name.toUpperCase() === 'APPEND'
    const completion = append ? no('Message too large', 'TOOBIG') : bad('Literal too large', 'LIMIT')
    this.#output.write(formatCompletion(TAG.test(tag) ? tag : '*', completion))
    this.#count(append ? 'APPEND' : 'invalid', completion)
    await this.#output.flush()
  }

  async #execute(pieces: Pieces): Promise<void> {
    const first = typeof pieces[0] === 'string' ? pieces[0] : ''
    if (first === '' && pieces.length === 1) return // an empty line: harmless, and some clients send it
    const head = /^(\S+) +(?:(UID) +)?([A-Za-z]+)/i.exec(first)
    const tag = head?.[1] ?? /^\S+/.exec(first)?.[0] ?? '*'
    if (!TAG.test(tag)) return this.#complete('*', 'invalid', bad('Bad tag'))
    const name = `${head?.[2] ? 'UID ' : ''}${head?.[3] ?? ''}`.toUpperCase()
    const found = commands.get(name)
    if (!found) return this.#complete(tag, 'unknown', bad('Unknown command'))
    const input = new CommandInput([first.slice(head?.[0].length), ...pieces.slice(1)], { utf8: this.utf8 })
    if (head?.[2]) input.numbering = 'uid'
    this.tag = tag
    this.#running = true
    const began = performance.now()
    const completion = await this.#runCommand(name, found, input)
    await this.#tellNews(found)
    this.#running = false
    if (name !== 'IDLE') this.#metrics.commandSeconds.observe({ command: name }, (performance.now() - began) / 1000)
    await this.#complete(tag, name, completion)
    this.tag = ''
  }

  async #runCommand(name: string, command: AnyCommand, input: CommandInput): Promise<Completion> {
    try {
      if (!command.states.includes(this.state)) return bad(stateMessage(this.state, command))
      this.#waiting = name === 'IDLE' || name === 'AUTHENTICATE'
      const responses = command.start(input, this, this.#deps)
      if (Symbol.asyncIterator in responses) {
        for await (const response of responses) {
          if (isCompletion(response)) return response
          this.#output.write(response)
          if (this.#output.full) await this.#output.flush()
          if (this.#socket.destroyed) return no('Connection lost')
        }
      } else {
        for (const response of await responses) {
          if (isCompletion(response)) return response
          this.#output.write(response)
        }
      }
      return { status: 'OK', code: undefined, text: 'Done' }
    } catch (error) {
      const completion = completionOf(error)
      if (error instanceof Unavailable) this.#log.warn({ err: error, command: name }, 'command failed: unavailable')
      else if (!completion) this.#log.error({ err: error, command: name }, 'command failed')
      return completion ?? no('Internal error', 'SERVERBUG')
    } finally {
      this.#waiting = false
    }
  }

  /** Changes of the selected mailbox go out before the completion (RFC 9051 §5.2, §7). */
  async #tellNews(command: AnyCommand): Promise<void> {
    const mailbox = this.#selected
    if (!mailbox) return
    try {
      this.#output.write(await mailbox.update(this.#deps.mailstore, this.told, { expunges: command.tellsExpunges }))
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      this.#log.debug({ err: error }, 'changes not read')
    }
  }

  async #complete(tag: string, name: string, completion: Completion): Promise<void> {
    this.#output.write(formatCompletion(tag, completion))
    this.#count(name, completion)
    await this.#output.flush()
    this.#badInARow = completion.status === 'BAD' ? this.#badInARow + 1 : 0
    if (completion.code === 'AUTHENTICATIONFAILED' && ++this.#loginFailures >= MAX_LOGIN_FAILURES) {
      this.#closing ??= 'Too many failed logins'
    }
    const tolerated = this.#account ? MAX_BAD_IN_A_ROW : MAX_BAD_BEFORE_LOGIN
    if (this.#badInARow >= tolerated) this.#closing ??= 'Too many bad commands'
  }

  #count(command: string, completion: Completion): void {
    this.#metrics.commands.inc({ command, result: completion.status.toLowerCase() })
    if (completion.code === 'AUTHENTICATIONFAILED') {
      this.#metrics.authFailures.inc()
      this.#log.info('login failed')
    }
    this.#log.debug({ command, status: completion.status, code: completion.code }, 'command')
  }
}

function isCompletion(response: Response): response is Completion {
  return typeof response === 'object' && 'status' in response
}

function stateMessage(state: SessionState, { states }: AnyCommand): string {
  if (state === 'notAuthenticated') return 'Log in first'
  if (!states.includes('authenticated') && states.includes('selected')) return 'No mailbox selected'
  return 'Not valid in this state'
}
