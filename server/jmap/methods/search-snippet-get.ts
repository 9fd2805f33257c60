import { z } from 'zod'
import { extractText } from '../../message/text.ts'
import { atMost, id, ownAccount } from '../arguments.ts'
import { MAIL } from '../capabilities.ts'
import { emailFilter, phrases } from '../email/filter.ts'
import { argumentsOf, type Method } from '../method.ts'

const searchSnippetArguments = z.strictObject({
  accountId: id,
  filter: z.unknown().optional(),
  emailIds: z.array(z.string().max(255)),
})

/** Each message is read whole. */
const MAX_EMAILS = 100
const MAX_TEXT = 262_144
const SNIPPET_CHARACTERS = 240

/** SearchSnippet/get. RFC 8621 §5.1. */
export const searchSnippetGet: Method<z.output<typeof searchSnippetArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(searchSnippetArguments),
  async run({ accountId, filter, emailIds }, context, { mailstore }) {
    const account = ownAccount(accountId, context)
    atMost(emailIds.length, MAX_EMAILS, 'emailIds')
    emailFilter(filter) // refuses what Email/query would
    const { inSubject, inBody } = searchedWords(filter)
    const emails = await mailstore.emails(account, [...new Set(emailIds)], ['subject', 'blobId', 'structure'])
    const list: { emailId: string; subject: string | null; preview: string | null }[] = []
    for (const email of emails) {
      const raw = inBody.length > 0 ? await mailstore.readBlob(account, email.blobId) : undefined
      list.push({
        emailId: email.id,
        subject: mark(email.subject ?? '', inSubject),
        preview: raw ? snippet(extractText(raw, email.structure, MAX_TEXT), inBody) : null,
      })
    }
    const found = new Set(emails.map((email) => email.id))
    const missing = emailIds.filter((emailId) => !found.has(emailId))
    return { accountId, list, notFound: missing.length > 0 ? missing : null }
  },
}

/** The words of every condition that is not negated. */
function searchedWords(filter: unknown): { inSubject: string[]; inBody: string[] } {
  if (typeof filter !== 'object' || filter === null) return { inSubject: [], inBody: [] }
  const { operator, conditions, text, subject, body } = filter as Record<string, unknown>
  if (operator === 'NOT') return { inSubject: [], inBody: [] }
  const inner = Array.isArray(conditions) ? conditions.map(searchedWords) : []
  const words = (value: unknown) => (typeof value === 'string' ? phrases(value) : [])
  return {
    inSubject: [...words(text), ...words(subject), ...inner.flatMap((one) => one.inSubject)],
    inBody: [...words(text), ...words(body), ...inner.flatMap((one) => one.inBody)],
  }
}

/** HTML with the words in <mark>; null when none occurs. */
function mark(text: string, words: readonly string[]): string | null {
  if (words.length === 0) return null
  const pattern = new RegExp(words.map((word) => RegExp.escape(word)).join('|'), 'gi')
  let marked = ''
  let after = 0
  for (const match of text.matchAll(pattern)) {
    marked += `${escapeHtml(text.slice(after, match.index))}<mark>${escapeHtml(match[0])}</mark>`
    after = match.index + match[0].length
  }
  return after === 0 ? null : marked + escapeHtml(text.slice(after))
}

/** At most 255 octets before marking (RFC 8621 §5), around the first word found. */
function snippet(text: string, words: readonly string[]): string | null {
  const plain = text.replace(/\s+/g, ' ')
  const lower = plain.toLowerCase()
  const first = Math.min(...words.map((word) => lower.indexOf(word.toLowerCase())).filter((at) => at >= 0))
  if (!Number.isFinite(first)) return null
  const start = Math.max(0, first - 60)
  let cut = plain.slice(start, start + SNIPPET_CHARACTERS).toWellFormed()
  while (Buffer.byteLength(cut) > 255) cut = cut.slice(0, -1)
  return mark(cut, words)
}

const escapeHtml = (text: string) => text.replace(/[&<>]/g, (c) => (c === '&' ? '&amp;' : c === '<' ? '&lt;' : '&gt;'))
