/** Blobs as JMAP names them: whole messages, uploads, and parts of messages. */
import type { EngineConfig } from '../config.ts'
import type { Mailstore } from '../mailstore/types.ts'
import { decodePart } from '../message/decode.ts'
import { parseStructure } from '../message/structure.ts'
import type { MimePart } from '../message/types.ts'
import { parseBlobId } from './wire/ids.ts'

export interface JmapBlob {
  bytes: Buffer
  /** Of a part; unknown for whole blobs. */
  type: string | undefined
}

/** @returns undefined when the account has no such blob. @throws Unavailable */
export async function readJmapBlob(
  accountId: string,
  blobId: string,
  { mailstore, config }: { mailstore: Mailstore; config: EngineConfig },
): Promise<JmapBlob | undefined> {
  const name = parseBlobId(blobId)
  const bytes = name && (await mailstore.readBlob(accountId, name.hash))
  if (!bytes || name.part === undefined) return bytes && { bytes, type: undefined }
  const part = findPart(parseStructure(bytes, config.limits).root, name.part)
  return part && { bytes: decodePart(bytes, part), type: `${part.type}/${part.subtype}` }
}

function findPart(part: MimePart, number: string): MimePart | undefined {
  if (part.type !== 'multipart' && (part.number || '1') === number) return part
  for (const child of part.parts ?? []) {
    const found = findPart(child, number)
    if (found) return found
  }
  return undefined
}
