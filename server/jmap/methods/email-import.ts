import { z } from 'zod'
import { looksLikeMessage } from '../../message/headers.ts'
import { atMost, id, ownAccount } from '../arguments.ts'
import { readJmapBlob } from '../blobs.ts'
import { MAIL } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'
import { runSet } from '../set.ts'
import { invalidProperties, ObjectRefused } from '../wire/errors.ts'
import { stateOf } from '../wire/ids.ts'
import { emailMetadata, storeEmail } from './store-email.ts'

const emailImportArguments = z.strictObject({
  accountId: id,
  ifInState: z.string().nullish(),
  emails: z.record(z.string().max(255), z.record(z.string(), z.unknown())),
})
const PROPERTIES = new Set(['blobId', 'mailboxIds', 'keywords', 'receivedAt'])

/** Email/import. RFC 8621 §4.8. */
export const emailImport: Method<z.output<typeof emailImportArguments>, object> = {
  capability: MAIL,
  parse: argumentsOf(emailImportArguments),
  async run({ accountId, ifInState, emails }, context, deps) {
    const account = ownAccount(accountId, context)
    const { mailstore, config } = deps
    atMost(Object.keys(emails).length, config.limits.jmapObjectsInSet, 'emails')
    const { oldState, newState, created, notCreated } = await runSet(
      { accountId, ifInState, create: emails },
      context,
      {
        maxObjects: config.limits.jmapObjectsInSet,
        state: async () => stateOf(await mailstore.state(account)),
        async create(object) {
          const unknown = Object.keys(object).filter((name) => !PROPERTIES.has(name))
          if (unknown.length > 0) throw invalidProperties(unknown)
          const metadata = emailMetadata(object, context, deps.now())
          const blob = typeof object.blobId === 'string' ? await readJmapBlob(account, object.blobId, deps) : undefined
          if (!blob) throw invalidProperties(['blobId'], 'there is no such blob')
          // RFC 8621 §4.8: what is no message is refused, as it is not mended
          if (!looksLikeMessage(blob.bytes)) throw new ObjectRefused({ type: 'invalidEmail' })
          return storeEmail(account, blob.bytes, metadata, deps)
        },
        update: () => Promise.reject(new Error('an import updates nothing')),
        destroy: () => Promise.reject(new Error('an import destroys nothing')),
      },
    )
    return { accountId, oldState, newState, created, notCreated }
  },
}
