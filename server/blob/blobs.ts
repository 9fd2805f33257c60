/** Message bytes by content. Two drivers: Postgres rows and an S3 bucket (design decision 6). */

/** Lower-case hex SHA-256 of the bytes: 64 characters. */
export type BlobId = string

export interface Blobs {
  /** Durable when it returns. Storing the same bytes again is free. @throws Unavailable */
  put(bytes: Uint8Array): Promise<BlobId>
  /** @returns undefined when there is no such blob. @throws Unavailable */
  get(id: BlobId): Promise<Buffer | undefined>
  /** Where bytes of this size belong: 'inline' ones are inserted by the caller's own transaction (see mailstore). */
  placement(sizeBytes: number): 'inline' | 'external'
  /** One cheap round trip, for readiness. @throws Unavailable with the reason */
  check(): Promise<void>
}
