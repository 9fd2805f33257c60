/** LOGIN and AUTHENTICATE PLAIN: RFC 9051 §6.2.2, §6.2.3; RFC 4616; initial response RFC 4959. */
import { setTimeout as delay } from 'node:timers/promises'
import { capabilities } from '../capabilities.ts'
import { command, type ImapDeps, type Session } from '../command.ts'
import { type Completion, no, ok } from '../responses.ts'
import { BadCommand } from '../wire/input.ts'

/** What a failed login costs in time; a guesser opens more sessions, which the listener bounds. */
const FAILURE_DELAY_MS = 1000

export const login = command({
  states: ['notAuthenticated'],
  parse(input) {
    input.space()
    const name = input.astring()
    input.space()
    return { name, password: input.astring() }
  },
  async run({ name, password }, session, deps) {
    return [await logIn(session, deps, name, password)]
  },
})

export const authenticate = command({
  states: ['notAuthenticated'],
  parse(input) {
    input.space()
    const mechanism = input.word()
    return { mechanism, initial: input.take(' ') ? (input.match(/[A-Za-z0-9+/=]+/y) ?? '') : undefined }
  },
  async run({ mechanism, initial }, session, deps) {
    if (mechanism !== 'PLAIN') return [no('Mechanism not supported', 'CANNOT')]
    let response = initial
    if (response === undefined) {
      await session.send('+ \r\n')
      response = await session.readLine()
    }
    if (response === undefined || response === '*') throw new BadCommand('Authentication cancelled')
    const { name, password } = parsePlain(response)
    return [await logIn(session, deps, name, password)]
  },
})

/** RFC 4616 §2: [authzid] NUL authcid NUL passwd; '=' is the empty initial response. */
function parsePlain(response: string): { name: string; password: string } {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(response)) throw new BadCommand('Not base64')
  const parts = Buffer.from(response, 'base64').toString('utf8').split('\0')
  const [authorization, name, password] = parts
  if (parts.length !== 3 || !name || password === undefined) throw new BadCommand('Bad PLAIN response')
  // Nobody may act for another account.
  if (authorization && authorization.toLowerCase() !== name.toLowerCase()) throw new BadCommand('Bad PLAIN response')
  return { name, password }
}

async function logIn(session: Session, deps: ImapDeps, name: string, password: string): Promise<Completion> {
  const { accounts, throttle, config } = deps
  if (throttle && !(await throttle.allowed(session.remoteAddress))) {
    return no('Too many failed logins from your address, try again later', 'UNAVAILABLE')
  }
  const account = await accounts.authenticate(name, password)
  if (account && !account.disabled) {
    session.logIn(account)
    return ok('Logged in', `CAPABILITY ${capabilities(session, config().limits).join(' ')}`)
  }
  await throttle?.failed(session.remoteAddress)
  await delay(deps.failureDelayMs ?? FAILURE_DELAY_MS, undefined, { ref: false })
  return no('Wrong name or password', 'AUTHENTICATIONFAILED')
}
