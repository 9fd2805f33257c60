/** Storing one message as an Email: Email/set create and Email/import do the same from here on. */
import { z } from 'zod'
import { MailboxNotFound, MessageTooLarge, OverQuota } from '../../mailstore/types.ts'
import { resolveId } from '../arguments.ts'
import { readSet } from '../email/patch.ts'
import type { CallContext, JmapDeps } from '../method.ts'
import { invalidProperties, ObjectRefused } from '../wire/errors.ts'
import { jmapBlobId } from '../wire/ids.ts'

export interface EmailMetadata {
  mailboxIds: string[]
  keywords: string[]
  receivedAt: Date
}

export interface StoredEmail {
  id: string
  blobId: string
  threadId: string
  size: number
}

/** @throws ObjectRefused invalidProperties */
export function emailMetadata(object: Record<string, unknown>, context: CallContext, now: Date): EmailMetadata {
  const given = readSet(object.mailboxIds ?? {}, 'mailboxIds')
  const mailboxIds = resolveMailboxIds(given, context)
  if (mailboxIds.length === 0) throw invalidProperties(['mailboxIds'], 'an Email is in at least one mailbox')
  const receivedAt = object.receivedAt == null ? now : receivedAtOf(object.receivedAt)
  return { mailboxIds, keywords: readSet(object.keywords ?? {}, 'keywords'), receivedAt }
}

/** Replaces '#creationId'. @throws ObjectRefused invalidProperties */
export function resolveMailboxIds(ids: readonly string[], context: CallContext): string[] {
  return ids.map((id) => {
    const resolved = resolveId(id, context)
    if (resolved === undefined) throw invalidProperties([`mailboxIds/${id}`], 'there is no such mailbox')
    return resolved
  })
}

/** Durable when it returns. @throws ObjectRefused invalidProperties, overQuota, tooLarge */
export async function storeEmail(
  accountId: string,
  raw: Buffer,
  { mailboxIds, keywords, receivedAt }: EmailMetadata,
  { mailstore, config }: JmapDeps,
): Promise<StoredEmail> {
  try {
    const mailboxes = mailboxIds.map((id) => ({ id }))
    const [stored] = await mailstore.ingest([{ accountId, mailboxes, keywords, receivedAt, raw }])
    if (!stored) throw new Error('the store returned nothing for a message')
    return { id: stored.emailId, blobId: jmapBlobId(stored.blobId), threadId: stored.threadId, size: stored.sizeBytes }
  } catch (error) {
    if (error instanceof MailboxNotFound) throw invalidProperties(['mailboxIds'], 'there is no such mailbox')
    if (error instanceof OverQuota) throw new ObjectRefused({ type: 'overQuota' })
    if (error instanceof MessageTooLarge)
      throw new ObjectRefused({ type: 'tooLarge', maxSize: config.limits.messageBytes })
    throw error
  }
}

function receivedAtOf(value: unknown): Date {
  const result = z.iso.datetime({ offset: true }).safeParse(value)
  if (!result.success) throw invalidProperties(['receivedAt'])
  return new Date(result.data)
}
