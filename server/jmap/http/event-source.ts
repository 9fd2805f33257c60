/** GET /jmap/eventsource/ (RFC 8620 §7.3): tells a client that something changed, on whichever replica. */
import type { ServerResponse } from 'node:http'
import type { Account } from '../../accounts/accounts.ts'
import { HttpError, methodNotAllowed } from '../../http/errors.ts'
import type { RequestContext } from '../../http/types.ts'
import type { Mailstore } from '../../mailstore/types.ts'
import type { JmapMetrics } from '../metrics.ts'
import { stateOf } from '../wire/ids.ts'
import { createConcurrencyLimit } from './concurrency.ts'

const TYPES = ['Mailbox', 'Email', 'Thread', 'EmailDelivery']
const STREAMS_PER_ACCOUNT = 50
const PING_SECONDS = { min: 5, max: 900 }
/** A delivery of many messages is one event. */
const GATHER_MS = 50
/** Then the client comes again and is authenticated again. */
const MAX_LIFE_MS = 3_600_000

export interface EventStreams {
  /** Answers the request with a stream that goes on after this returns. */
  open(context: RequestContext, account: Account): Promise<void>
  /** Ends all streams; clients come back to another replica. */
  close(): void
}

export function createEventStreams({
  mailstore,
  metrics,
}: {
  mailstore: Mailstore
  metrics: JmapMetrics
}): EventStreams {
  const ends = new Set<() => void>()
  const concurrency = createConcurrencyLimit(() => STREAMS_PER_ACCOUNT)
  return {
    async open({ request, response, url }, account) {
      if (request.method !== 'GET') throw methodNotAllowed(['GET'])
      const { types, closeAfterState, pingSeconds } = parameters(url)
      const leave = concurrency.enter(account.id)
      if (!leave)
        throw new HttpError(429, `at most ${STREAMS_PER_ACCOUNT} event streams`, { headers: { 'Retry-After': '60' } })
      // Subscribe first, then look: what happens in between is told twice, never missed.
      const gather = gatherer((modSeq) => {
        writeState(response, account, types, modSeq)
        if (closeAfterState) end()
      })
      const unsubscribe = mailstore.subscribe(account.id, (event) => gather.add(event.modSeq))
      const ping = pingSeconds > 0 ? setInterval(() => writePing(response, pingSeconds), pingSeconds * 1000) : undefined
      const life = setTimeout(() => end(), MAX_LIFE_MS)
      const end = () => {
        if (!ends.delete(end)) return
        unsubscribe()
        gather.stop()
        clearInterval(ping)
        clearTimeout(life)
        leave()
        metrics.streams.dec()
        response.end()
      }
      ends.add(end)
      metrics.streams.inc()
      response.once('close', end)
      response.writeHead(200, {
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-store',
        'X-Accel-Buffering': 'no',
      })
      response.flushHeaders()
      try {
        const seen = request.headers['last-event-id']
        const state = await mailstore.state(account.id)
        if (seen !== undefined && seen !== stateOf(state)) gather.add(state)
        else if (seen === undefined && pingSeconds > 0) writePing(response, pingSeconds)
      } catch (error) {
        end()
        throw error
      }
    },
    close() {
      for (const end of [...ends]) end()
    },
  }
}

/** @throws HttpError 400 */
function parameters(url: URL): { types: string[]; closeAfterState: boolean; pingSeconds: number } {
  const asked = url.searchParams.get('types') ?? '*'
  const closeAfter = url.searchParams.get('closeafter') ?? 'no'
  const ping = Number(url.searchParams.get('ping') ?? 0)
  if (closeAfter !== 'no' && closeAfter !== 'state') throw new HttpError(400, 'closeafter: must be state or no')
  if (!Number.isInteger(ping) || ping < 0) throw new HttpError(400, 'ping: must be a number of seconds')
  const types = asked === '*' ? TYPES : asked.split(',').filter((type) => TYPES.includes(type))
  return {
    types,
    closeAfterState: closeAfter === 'state',
    pingSeconds: ping === 0 ? 0 : Math.min(Math.max(ping, PING_SECONDS.min), PING_SECONDS.max),
  }
}

/** Hands on the highest of what comes within a moment. */
function gatherer(tell: (modSeq: number) => void) {
  let highest = 0
  let timer: NodeJS.Timeout | undefined
  return {
    add(modSeq: number) {
      highest = Math.max(highest, modSeq)
      timer ??= setTimeout(() => {
        timer = undefined
        tell(highest)
      }, GATHER_MS)
    },
    stop: () => clearTimeout(timer),
  }
}

/** A client that reads too slowly to take events is cut off: it asks again, and misses nothing. */
const MAX_BUFFERED_BYTES = 65_536

function writeState(response: ServerResponse, account: Account, types: readonly string[], modSeq: number): void {
  if (types.length === 0) return
  const state = stateOf(modSeq)
  const changed = { [account.id]: Object.fromEntries(types.map((type) => [type, state])) }
  write(response, `event: state\nid: ${state}\ndata: ${JSON.stringify({ '@type': 'StateChange', changed })}\n\n`)
}

function writePing(response: ServerResponse, interval: number): void {
  write(response, `event: ping\ndata: ${JSON.stringify({ interval })}\n\n`)
}

function write(response: ServerResponse, text: string): void {
  if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy()
  else response.write(text)
}
