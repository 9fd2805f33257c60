import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { parseAddresses } from '../../message/addresses.ts'
import { allValues, headerFields } from '../../message/headers.ts'
import { SubmissionRefused } from '../../queue/types.ts'
import { ownAccount, resolveId, setFields } from '../arguments.ts'
import { SUBMISSION } from '../capabilities.ts'
import { argumentsOf, type CallContext, type JmapDeps, type Method } from '../method.ts'
import { eachOf, oneByOne, runSet, type SetResponse } from '../set.ts'
import { invalidProperties, notFound, ObjectRefused } from '../wire/errors.ts'
import { IDENTITY_ID } from './identity-get.ts'

const emailSubmissionSetArguments = z.strictObject({
  ...setFields,
  onSuccessUpdateEmail: z.record(z.string(), z.record(z.string(), z.unknown())).nullish(),
  onSuccessDestroyEmail: z.array(z.string()).nullish(),
})
type EmailSubmissionSetArguments = z.output<typeof emailSubmissionSetArguments>

const smtpAddress = z.strictObject({
  email: z.string().max(1000),
  parameters: z.record(z.string(), z.string().nullable()).nullish(),
})
const newSubmission = z.strictObject({
  identityId: z.string(),
  emailId: z.string(),
  envelope: z.strictObject({ mailFrom: smtpAddress, rcptTo: z.array(smtpAddress).min(1) }).nullish(),
})

/** EmailSubmission/set. RFC 8621 §7.5. What is created is in the queue, durably. */
export const emailSubmissionSet: Method<EmailSubmissionSetArguments, SetResponse> = {
  capability: SUBMISSION,
  parse: argumentsOf(emailSubmissionSetArguments),
  async run(args, context, deps) {
    const accountId = ownAccount(args.accountId, context)
    const emailIds = new Map<string, string>()
    const response = await runSet(args, context, {
      maxObjects: deps.config.limits.jmapObjectsInSet,
      state: async () => '0',
      async create(object, creationId) {
        const { emailId, envelope } = checked(object, context)
        const { raw, threadId } = await readEmail(accountId, emailId, deps)
        await submit(raw, envelope, context, deps)
        emailIds.set(creationId, emailId)
        return {
          id: `s${randomBytes(12).toString('base64url')}`,
          undoStatus: 'final',
          sendAt: deps
            .now()
            .toISOString()
            .replace(/\.\d+Z$/, 'Z'),
          threadId,
        }
      },
      update: oneByOne(() => Promise.reject(notFound())),
      destroy: eachOf(() => Promise.reject(notFound())),
    })
    followUp(args, response, emailIds, context)
    return response
  },
}

function checked(object: Record<string, unknown>, context: CallContext) {
  const result = newSubmission.safeParse(object)
  if (!result.success) {
    const names = result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys : [issue.path.join('/')],
    )
    throw invalidProperties([...new Set(names)], result.error.issues[0]?.message)
  }
  const { identityId, envelope } = result.data
  if (resolveId(identityId, context) !== IDENTITY_ID)
    throw invalidProperties(['identityId'], 'there is no such identity')
  const emailId = resolveId(result.data.emailId, context)
  if (emailId === undefined) throw invalidProperties(['emailId'], 'there is no such Email')
  return { emailId, envelope }
}

async function readEmail(accountId: string, emailId: string, { mailstore }: JmapDeps) {
  const [email] = await mailstore.emails(accountId, [emailId], ['blobId', 'threadId'])
  const raw = email && (await mailstore.readBlob(accountId, email.blobId))
  if (!raw) throw invalidProperties(['emailId'], 'there is no such Email')
  return { raw, threadId: email.threadId }
}

async function submit(
  raw: Buffer,
  envelope: z.output<typeof newSubmission>['envelope'],
  context: CallContext,
  { submitter, accounts, config }: JmapDeps,
): Promise<void> {
  const fields = headerFields(raw, 0, raw.length)
  const addressesIn = (name: string) =>
    allValues(fields, name)
      .flatMap(parseAddresses)
      .flatMap((address) =>
        address.kind === 'mailbox' && address.domain !== '' ? [`${address.local}@${address.domain}`] : [],
      )
  const from = addressesIn('from')
  if (from.length === 0) throw new ObjectRefused({ type: 'invalidEmail', properties: ['from'] })
  const reversePath = envelope?.mailFrom.email ?? addressesIn('sender')[0] ?? from[0] ?? ''
  if (!(await accounts.maySendAs(context.account, reversePath))) throw new ObjectRefused({ type: 'forbiddenMailFrom' })
  for (const address of from) {
    if (!(await accounts.maySendAs(context.account, address))) throw new ObjectRefused({ type: 'forbiddenFrom' })
  }
  const recipients = envelope?.rcptTo.map(({ email }) => email) ?? ['to', 'cc', 'bcc'].flatMap(addressesIn)
  if (recipients.length === 0) throw new ObjectRefused({ type: 'noRecipients' })
  const unique = [...new Set(recipients)]
  const most = config.limits.recipientsPerMessage
  if (unique.length > most) throw new ObjectRefused({ type: 'tooManyRecipients', maxRecipients: most })
  try {
    await submitter.submit({
      account: context.account,
      reversePath,
      recipients: unique.map((address) => ({ address })),
      raw: withoutBcc(raw),
      client: { address: context.remoteAddress, helo: 'jmap', protocol: 'HTTP' },
    })
  } catch (error) {
    throw error instanceof SubmissionRefused ? refusal(error, config.limits.messageBytes) : error
  }
}

/** SMTP's reasons in JMAP's words (RFC 8621 §7.5). */
function refusal(error: SubmissionRefused, maxSize: number): Error {
  const { code, enhanced } = error.reply
  const description = error.message
  if (code < 500) return new ObjectRefused({ type: 'rateLimit', description }, { cause: error })
  if (error.recipients.length > 0) {
    return new ObjectRefused(
      { type: 'invalidRecipients', invalidRecipients: error.recipients, description },
      { cause: error },
    )
  }
  if (enhanced === '5.3.4' || code === 552)
    return new ObjectRefused({ type: 'tooLarge', maxSize, description }, { cause: error })
  if (enhanced === '5.7.1' || enhanced === '5.1.8')
    return new ObjectRefused({ type: 'forbiddenFrom', description }, { cause: error })
  if (enhanced.startsWith('5.6')) return new ObjectRefused({ type: 'invalidEmail', description }, { cause: error })
  return new ObjectRefused({ type: 'forbiddenToSend', description }, { cause: error })
}

/** Bcc recipients are in the envelope; the field is not for the others' eyes (RFC 8621 §7.5, RFC 5322 §3.6.3). */
export function withoutBcc(raw: Buffer): Buffer {
  const kept: Buffer[] = []
  let after = 0
  for (const { name, start, end } of headerFields(raw, 0, raw.length)) {
    if (name.toLowerCase() !== 'bcc') continue
    kept.push(raw.subarray(after, start))
    after = end
  }
  return after === 0 ? raw : Buffer.concat([...kept, raw.subarray(after)])
}

/** The implicit Email/set (RFC 8621 §7.5): only for what was created. */
function followUp(
  args: EmailSubmissionSetArguments,
  { created }: SetResponse,
  emailIds: ReadonlyMap<string, string>,
  context: CallContext,
): void {
  const emailOf = (reference: string) => {
    const creationId = reference.replace(/^#/, '')
    return created && Object.hasOwn(created, creationId) ? emailIds.get(creationId) : undefined
  }
  const update = Object.entries(args.onSuccessUpdateEmail ?? {}).flatMap(([reference, patch]) => {
    const emailId = emailOf(reference)
    return emailId === undefined ? [] : [[emailId, patch] as const]
  })
  const destroy = (args.onSuccessDestroyEmail ?? []).map(emailOf).filter((emailId) => emailId !== undefined)
  if (update.length === 0 && destroy.length === 0) return
  context.follow('Email/set', { accountId: args.accountId, update: Object.fromEntries(update), destroy })
}
