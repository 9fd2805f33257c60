/** Commands of any state, and STARTTLS: RFC 9051 §6.1, §6.2.1; ID RFC 2971. */
import { capabilities } from '../capabilities.ts'
import { ANY_STATE, command, noArguments } from '../command.ts'
import { bad, ok } from '../responses.ts'

export const capability = command({
  states: ANY_STATE,
  parse: noArguments,
  async run(_, session, { config }) {
    return [`* CAPABILITY ${capabilities(session, config().limits).join(' ')}\r\n`, ok()]
  },
})

/** Asks the store even when no notification came, so that a client that polls is never behind. */
export const noop = command({
  states: ANY_STATE,
  parse: noArguments,
  async run(_, session) {
    if (session.state === 'selected') session.selected.markStale()
    return [ok()]
  },
})

export const logout = command({
  states: ANY_STATE,
  parse: noArguments,
  async run(_, session) {
    session.select(undefined)
    session.endAfterThis()
    return ['* BYE Logging out\r\n', ok()]
  },
})

const MAX_ID_PAIRS = 30 // RFC 2971 §3.3

/** Tells our name and nothing a stranger could use; what the client says is not kept. */
export const id = command({
  states: ANY_STATE,
  parse(input) {
    input.space()
    if (input.match(/NIL/iy)) return
    const values = input.list(() => {
      input.string()
      input.space()
      return input.nstring()
    })
    if (values.length > MAX_ID_PAIRS) return
  },
  async run() {
    return ['* ID ("name" "mail-operator")\r\n', ok()]
  },
})

/** The connection has TLS from its first byte (RFC 8314 §3.2). */
export const startTls = command({
  states: ANY_STATE,
  parse: noArguments,
  async run() {
    return [bad('TLS is active already')]
  },
})
