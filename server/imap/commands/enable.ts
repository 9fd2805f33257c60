/** ENABLE: RFC 9051 §6.3.1. */
import { command, type Extension, LOGGED_IN } from '../command.ts'
import { ok } from '../responses.ts'

const EXTENSIONS: ReadonlyMap<string, Extension> = new Map([
  ['CONDSTORE', 'CONDSTORE'],
  ['QRESYNC', 'QRESYNC'],
  ['UTF8=ACCEPT', 'UTF8=ACCEPT'],
  ['IMAP4REV2', 'IMAP4REV2'],
])

export const enable = command({
  states: LOGGED_IN,
  parse(input) {
    const names: string[] = []
    do {
      input.space()
      names.push(input.word())
    } while (input.peek() === ' ')
    return names
  },
  async run(names, session) {
    const enabled = names.map((name) => EXTENSIONS.get(name)).filter((extension) => extension !== undefined)
    for (const extension of enabled) session.enable(extension)
    const told = enabled.map((extension) => (extension === 'IMAP4REV2' ? 'IMAP4rev2' : extension))
    return [`* ENABLED${told.map((name) => ` ${name}`).join('')}\r\n`, ok()]
  },
})
