/** The one joint where incoming mail is judged: at RCPT (greylist, rate limit) and after DATA (rules, DNSBL, sender checks). */
import type { SenderAuthResults } from '../senderauth/types.ts'

export interface Attempt {
  clientAddress: string
  helo: string
  /** '' for the null reverse-path. */
  reversePath: string
  recipient: string
  /** True for the first RCPT of a transaction: the rate limit counts messages, not recipients. */
  firstRecipient: boolean
}

export interface MessageToJudge {
  /** As received, before our trace fields. */
  raw: Buffer
  clientAddress: string
  helo: string
  reversePath: string
  recipients: string[]
  receivedAt: Date
  tls: boolean
  /** DNS and signatures, found before the rules run. */
  senderAuth: SenderAuthResults
}

export interface Verdict {
  score: number
  tests: { name: string; score: number; description: string }[]
  action: 'accept' | 'junk' | 'reject'
  /** Why it was refused, one word for metrics: 'score', 'dmarc'. undefined unless refused. */
  reason?: string
  /** X-Spam-* fields with their CRLFs; '' when there is nothing to say. */
  header: string
}

/** Refused for now: 451 4.7.1. `reason` is for metrics: 'greylist', 'rate_limit'. */
export interface Deferral {
  reason: 'greylist' | 'rate_limit'
  text: string
}

export interface SpamJudge {
  /** False: neither admit nor judge nor the sender checks are asked (config spam.enabled). */
  enabled(): boolean
  /** @returns undefined when the recipient may be accepted. @throws Unavailable */
  admit(attempt: Attempt): Promise<Deferral | undefined>
  judge(message: MessageToJudge): Promise<Verdict>
}
