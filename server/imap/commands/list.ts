/** LIST and LSUB: RFC 9051 §6.3.9 (LIST-EXTENDED, CHILDREN, LIST-STATUS, SPECIAL-USE); RFC 3501 §6.3.9. */

import type { Mailbox } from '../../mailstore/types.ts'
import { command, LOGGED_IN, type Session } from '../command.ts'
import { mailboxAttributes, patternMatcher } from '../listing.ts'
import { ok, type Response } from '../responses.ts'
import { parseStatusItems, type StatusItem, statusLine } from '../status-items.ts'
import { mailboxName } from '../wire/format.ts'
import { BadCommand, type CommandInput } from '../wire/input.ts'

interface ListArguments {
  reference: string
  patterns: string[]
  /** The answer lists children and attributes as extended LIST does. */
  select: Set<string>
  returns: Set<string>
  status: StatusItem[]
}

/** All patterns of one LIST together: what matching costs is bounded by it. */
const MAX_PATTERN_CHARACTERS = 2000

export const list = command<ListArguments>({
  states: LOGGED_IN,
  parse(input) {
    input.space()
    const select = new Set<string>()
    if (input.peek() === '(') {
      for (const option of input.list(() => input.word())) select.add(checked(option, SELECTION))
      if (select.has('RECURSIVEMATCH') && !select.has('SUBSCRIBED'))
        throw new BadCommand('RECURSIVEMATCH wants SUBSCRIBED')
      input.space()
    }
    const reference = input.mailbox()
    input.space()
    const patterns = input.peek() === '(' ? input.list(() => input.mailboxPattern()) : [input.mailboxPattern()]
    if (patterns.join('').length > MAX_PATTERN_CHARACTERS) throw new BadCommand('Patterns too long')
    const returns = new Set<string>()
    const status: StatusItem[] = []
    if (input.take(' ')) {
      if (input.word() !== 'RETURN') throw new BadCommand('Expected RETURN')
      input.space()
      input.list(() => {
        const option = checked(input.word(), RETURN)
        returns.add(option)
        if (option === 'STATUS') {
          input.space()
          status.push(...parseStatusItems(input))
        }
      })
    }
    return { reference, patterns, select, returns, status }
  },
  async *run({ reference, patterns, select, returns, status }, session, { mailstore, config }) {
    if (patterns.length === 1 && patterns[0] === '' && select.size === 0) {
      yield '* LIST (\\Noselect) "/" ""\r\n' // the hierarchy delimiter (§6.3.9)
      yield ok()
      return
    }
    const mailboxes = await mailstore.mailboxes(session.account.id)
    const tree = new Tree(mailboxes)
    const matches = patternMatcher(patterns.map((pattern) => reference + pattern))
    // RFC 5258 §4: who is not subscribed stands only for those below that are not in the answer themselves.
    const aboveUntold = pathsAbove(mailboxes.filter(({ path, subscribed }) => subscribed && !matches(path)))
    for (const mailbox of tree.sorted) {
      if (!matches(mailbox.path)) continue
      const recursive = select.has('RECURSIVEMATCH')
      const subscribedBelow = recursive && tree.hasSubscribedBelow(mailbox)
      const isTold = mailbox.subscribed || (recursive && aboveUntold.has(mailbox.path))
      if (select.has('SUBSCRIBED') && !isTold) continue
      if (select.has('SPECIAL-USE') && mailboxAttributes(mailbox).length === 0) continue
      const attributes = [
        tree.hasChildren(mailbox) ? '\\HasChildren' : '\\HasNoChildren',
        ...mailboxAttributes(mailbox),
      ]
      if (mailbox.subscribed && (select.has('SUBSCRIBED') || returns.has('SUBSCRIBED'))) attributes.push('\\Subscribed')
      const childInfo = subscribedBelow ? ' ("CHILDINFO" ("SUBSCRIBED"))' : ''
      yield line('LIST', attributes, mailbox, session, childInfo)
      if (status.length > 0) yield await statusLine(mailbox, status, session, { mailstore, config })
    }
    yield ok()
  },
})

export const lsub = command({
  states: LOGGED_IN,
  parse(input: CommandInput) {
    input.space()
    const reference = input.mailbox()
    input.space()
    const pattern = reference + input.mailboxPattern()
    if (pattern.length > MAX_PATTERN_CHARACTERS) throw new BadCommand('Pattern too long')
    return { pattern }
  },
  async run({ pattern }, session, { mailstore }) {
    const tree = new Tree(await mailstore.mailboxes(session.account.id))
    const matches = patternMatcher([pattern])
    const responses: Response[] = []
    for (const mailbox of tree.sorted) {
      if (!matches(mailbox.path)) continue
      if (mailbox.subscribed) responses.push(line('LSUB', mailboxAttributes(mailbox), mailbox, session))
      // RFC 3501 §6.3.9: with '%', a parent stands for its subscribed children
      else if (pattern.includes('%') && tree.hasSubscribedBelow(mailbox))
        responses.push(line('LSUB', ['\\Noselect'], mailbox, session))
    }
    return [...responses, ok()]
  },
})

const SELECTION = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE']
const RETURN = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'STATUS']

function checked(option: string, known: readonly string[]): string {
  if (!known.includes(option)) throw new BadCommand('Unknown LIST option')
  return option
}

function line(name: string, attributes: readonly string[], mailbox: Mailbox, { utf8 }: Session, extra = ''): string {
  return `* ${name} (${attributes.join(' ')}) "/" ${mailboxName(mailbox.path, utf8)}${extra}\r\n`
}

function pathsAbove(mailboxes: readonly Mailbox[]): Set<string> {
  const above = new Set<string>()
  for (const { path } of mailboxes) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) above.add(path.slice(0, at))
  }
  return above
}

class Tree {
  readonly sorted: Mailbox[]
  readonly #parents: Set<string>
  readonly #aboveSubscribed: ReadonlySet<string>

  constructor(mailboxes: readonly Mailbox[]) {
    this.sorted = mailboxes.toSorted((a, b) => (a.path === b.path ? 0 : a.path < b.path ? -1 : 1))
    this.#parents = new Set(mailboxes.map((mailbox) => mailbox.parentId).filter((parentId) => parentId !== null))
    this.#aboveSubscribed = pathsAbove(mailboxes.filter(({ subscribed }) => subscribed))
  }

  hasChildren(mailbox: Mailbox): boolean {
    return this.#parents.has(mailbox.id)
  }

  hasSubscribedBelow(mailbox: Mailbox): boolean {
    return this.#aboveSubscribed.has(mailbox.path)
  }
}
