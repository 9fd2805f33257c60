/** IDLE: RFC 9051 §6.3.13. Ends with DONE, or with the session. */
import { setTimeout as delay } from 'node:timers/promises'
import { Unavailable } from '../../db/database.ts'
import type { Mailstore } from '../../mailstore/types.ts'
import { command, LOGGED_IN, noArguments, type Session } from '../command.ts'
import { bad, ok } from '../responses.ts'

/** While the database is away. */
const RETRY_MS = 5000
/** A sign of life, so that no NAT forgets the connection and a client that is gone is noticed. */
const KEEP_ALIVE_MS = 120_000

export const idle = command({
  states: LOGGED_IN,
  parse: noArguments,
  async run(_, session, { mailstore }) {
    await session.send('+ idling\r\n')
    const line = session.readLine().then((text) => ({ text }))
    const keepAlive = setInterval(() => void session.send('* OK Still here\r\n'), KEEP_ALIVE_MS)
    line.finally(() => clearInterval(keepAlive)).catch(() => undefined)
    for (;;) {
      // Never at the same time as waiting for DONE: nothing may be told once the command is over.
      const told = await tellNews(session, mailstore).catch((error: unknown) => {
        session.endAfterThis() // the line that we wait for would be taken from the next command
        throw error
      })
      const first = await Promise.race([line, told ? nextNews(session) : delay(RETRY_MS, undefined, { ref: false })])
      if (!first) continue
      if (first.text === undefined || first.text.toUpperCase() === 'DONE') return [ok('Idle ended')]
      return [bad('Expected DONE')]
    }
  },
})

/** @returns false when the store is away */
async function tellNews(session: Session, mailstore: Mailstore): Promise<boolean> {
  if (session.state !== 'selected') return true
  try {
    const news = await session.selected.update(mailstore, session.told, { expunges: true })
    if (news !== '') await session.send(news)
    return true
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    return false
  }
}

/** Never resolves without a selected mailbox. */
function nextNews(session: Session): Promise<undefined> {
  if (session.state !== 'selected') return new Promise(() => undefined)
  return session.selected.news().then(() => undefined)
}
