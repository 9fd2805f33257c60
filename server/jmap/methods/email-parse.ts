import { z } from 'zod'
import { looksLikeMessage } from '../../message/headers.ts'
import { parseMessage } from '../../message/parse.ts'
import { atMost, id, ownAccount } from '../arguments.ts'
import { readJmapBlob } from '../blobs.ts'
import { MAIL } from '../capabilities.ts'
import { planEmail, presentEmail } from '../email/properties.ts'
import { argumentsOf, type Method } from '../method.ts'
import { parseBlobId } from '../wire/ids.ts'
import { bodyFetchFields } from './email-get.ts'

/** Each is read and parsed whole. */
const MAX_BLOBS = 50

const emailParseArguments = z.strictObject({
  accountId: id,
  blobIds: z.array(z.string().max(512)),
  properties: z.array(z.string().max(512)).max(500).nullish(),
  ...bodyFetchFields,
})

/** Email/parse. RFC 8621 §4.9. Parts of a message that is itself a part have no blob ids of their own here. */
export const emailParse: Method<z.output<typeof emailParseArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(emailParseArguments),
  async run({ accountId, blobIds, ...options }, context, deps) {
    const account = ownAccount(accountId, context)
    atMost(blobIds.length, MAX_BLOBS, 'blobIds')
    const plan = planEmail(options, 'parse')
    const parsed: Record<string, unknown> = {}
    const notFound: string[] = []
    const notParsable: string[] = []
    for (const blobId of new Set(blobIds)) {
      const blob = await readJmapBlob(account, blobId, deps)
      if (!blob) notFound.push(blobId)
      else if (!looksLikeMessage(blob.bytes)) notParsable.push(blobId)
      else {
        const { sentAt, ...message } = parseMessage(blob.bytes, deps.config.limits)
        const hash = parseBlobId(blobId)?.hash ?? ''
        const email = presentEmail({ ...message, sentAt: sentAt ?? null, blobId: hash }, plan, blob.bytes)
        parsed[blobId] = 'blobId' in email ? { ...email, blobId } : email
      }
    }
    return {
      accountId,
      parsed: Object.keys(parsed).length > 0 ? parsed : null,
      notParsable: notParsable.length > 0 ? notParsable : null,
      notFound: notFound.length > 0 ? notFound : null,
    }
  },
}
