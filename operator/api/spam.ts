/** spec.spam: how incoming mail is judged. */

import { z } from 'zod'
import { durationMs } from './duration.ts'
import { cel, domainName, duration, listAtomic, listMap } from './fields.ts'

/** Else every attempt is a first one, and no mail ever comes in. */
const RETRY_IN_TIME = 'retryWindow must be longer than delay'

const greylisting = z
  .strictObject({
    enabled: z.boolean().default(false),
    delay: duration('0s', '24h').default('1m').meta({ description: 'A retry before this is still refused.' }),
    retryWindow: duration('1m').default('24h').meta({ description: 'A first attempt is forgotten after this.' }),
    passFor: duration('1h')
      .default('840h')
      .meta({ description: 'Who passed stays known so long after the last mail.' }),
  })
  .refine(({ delay, retryWindow }) => (durationMs(retryWindow) ?? 0) > (durationMs(delay) ?? 0), RETRY_IN_TIME)
  .meta(cel({ rule: 'duration(self.retryWindow) > duration(self.delay)', message: RETRY_IN_TIME }))

const rateLimit = z.strictObject({
  messagesPerAddressPerMinute: z.int().min(0).max(1_000_000).default(0).meta({
    description: 'Messages that an unauthenticated client (IPv4 address, IPv6 /64) may send; 0 is no limit.',
  }),
  recipientsPerAccountPerHour: z.int().min(0).max(10_000_000).default(0).meta({
    description: 'Recipients that an account may submit to; 0 is no limit.',
  }),
})

export const spam = z
  .strictObject({
    enabled: z.boolean().default(true),
    requiredScore: z
      .number()
      .min(-1000)
      .max(1000)
      .default(5)
      .meta({ description: 'From here on mail is filed in Junk.' }),
    rejectScore: z.number().min(-1000).max(1000).default(15).meta({
      description: 'From here on mail is refused with 550 5.7.1.',
    }),
    rules: z
      .array(z.string().min(1).max(65_536))
      .max(64)
      .default([])
      .meta({
        ...listAtomic,
        description:
          'Rules in SpamAssassin’s language, after the built-in ones. A line that is not understood is left out: condition SpamRulesReady.',
      }),
    dnsbl: z
      .array(z.strictObject({ zone: domainName(), score: z.number().min(-1000).max(1000).default(3) }))
      .max(32)
      .default([])
      .meta({ ...listMap('zone'), description: 'DNS block lists that the client’s address is looked up in.' }),
    greylisting: greylisting.prefault({}),
    rateLimit: rateLimit.prefault({}),
  })
  .meta(cel({ rule: 'self.rejectScore >= self.requiredScore', message: 'rejectScore must not be below requiredScore' }))
  .prefault({})
  .meta({ description: 'How incoming mail is judged.' })
