/** JMAP's opaque strings and what they stand for here. Pure. */
import { MethodError } from './errors.ts'

/** A whole message or upload, or, with `part`, one of its MIME parts, transfer encoding undone. */
export interface BlobName {
  hash: string
  /** IMAP part number. */
  part: string | undefined
}

export function jmapBlobId(hash: string, part?: string): string {
  return part === undefined ? `B${hash}` : `B${hash}-${part.replaceAll('.', '_')}`
}

/** @returns undefined when it is no blob id of ours */
export function parseBlobId(id: string): BlobName | undefined {
  const match = /^B([0-9a-f]{64})(?:-(\d{1,5}(?:_\d{1,5}){0,60}))?$/.exec(id)
  return match?.[1] === undefined ? undefined : { hash: match[1], part: match[2]?.replaceAll('_', '.') }
}

/** One counter per account is the state of every type (design decision 5). */
export const stateOf = (modSeq: number) => String(modSeq)

/** @throws MethodError cannotCalculateChanges for a state that we never gave */
export function parseState(state: string): number {
  if (!/^\d{1,15}$/.test(state)) throw new MethodError('cannotCalculateChanges')
  return Number(state)
}
