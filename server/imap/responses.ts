/** What commands answer with: untagged lines as they go out, and one completion (RFC 9051 §7.1). */

export interface Completion {
  status: 'OK' | 'NO' | 'BAD'
  /** Response code without brackets: 'TRYCREATE', 'APPENDUID 1 2'. */
  code: string | undefined
  text: string
}

/** Complete untagged lines (text goes out as UTF-8), or the completion, which comes last. */
export type Response = string | Buffer | Completion
export type Responses = AsyncGenerator<Response> | Promise<Response[]>

export function ok(text = 'Done', code?: string): Completion {
  return { status: 'OK', code, text }
}

/** Refused or failed. Codes: RFC 9051 §7.1, RFC 5530. */
export function no(text: string, code?: string): Completion {
  return { status: 'NO', code, text }
}

export function bad(text: string, code?: string): Completion {
  return { status: 'BAD', code, text }
}

/** Ends a command with NO from wherever it is; `text` is read by strangers. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly completion: Completion
  constructor(text: string, code?: string) {
    super(text)
    this.completion = no(text, code)
  }
}

export function formatCompletion(tag: string, { status, code, text }: Completion): string {
  return `${tag} ${status} ${code === undefined ? '' : `[${code}] `}${text}\r\n`
}
