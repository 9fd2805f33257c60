/** IDLE: RFC 9051 §6.3.13. Ends with DONE, or with the session. */
import { setTimeout as delay } from 'node:timers/promises'
import { Unavailable } from '../../db/database.ts'
import type { Mailstore } from '../../mailstore/types.ts'
import { command, LOGGED_IN, noArguments, type Session } from '../command.ts'
import { bad, ok } from '../responses.ts'

/** While the database is away. */
const RETRY_MS = 5000

export const idle = command({
  states: LOGGED_IN,
  parse: noArguments,
  async run(_, session, { mailstore }) {
    await session.send('+ idling\r\n')
    const line = session.readLine()
    for (;;) {
      const first = await Promise.race([line, nextNews(session, mailstore)])
      if (first === NEWS) continue
      if (first === undefined || first.toUpperCase() === 'DONE') return [ok('Idle ended')]
      return [bad('Expected DONE')]
    }
  },
})

const NEWS = Symbol('news')

/** Tells what there is, then waits for more. Never resolves without a selected mailbox. */
async function nextNews(session: Session, mailstore: Mailstore): Promise<typeof NEWS> {
  if (session.state !== 'selected') return new Promise(() => undefined)
  const { selected } = session
  try {
    const news = await selected.update(mailstore, session.told, { expunges: true })
    if (news !== '') await session.send(news)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    await delay(RETRY_MS, undefined, { ref: false })
    return NEWS
  }
  await selected.news()
  return NEWS
}
