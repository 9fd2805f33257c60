/** NAMESPACE: RFC 9051 §6.3.10. One personal namespace, '/' between levels. */
import { command, LOGGED_IN, noArguments } from '../command.ts'
import { ok } from '../responses.ts'

export const namespace = command({
  states: LOGGED_IN,
  parse: noArguments,
  async run() {
    return ['* NAMESPACE (("" "/")) NIL NIL\r\n', ok()]
  },
})
