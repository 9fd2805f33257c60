/** Takes in the bytes of one message with a bound that holds while they arrive. */
import type { Readable } from 'node:stream'

/** How far over the limit a message is still read, so that a well-meaning client sees its 552. */
const DRAIN_FACTOR = 4

/**
 * Collects a message. One over the limit is read to its end and thrown away as it comes, never kept.
 * @param maxBytes the limit; beyond DRAIN_FACTOR times it `flood` is called once: the client does not stop by itself
 * @returns the chunks as received; undefined when there were more than maxBytes
 * @throws the stream's error when the client goes away in the middle
 */
export function receiveMessage(stream: Readable, maxBytes: number, flood: () => void): Promise<Buffer[] | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer[] | undefined>()
  let chunks: Buffer[] | undefined = []
  let size = 0
  let flooded = false
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) {
      chunks = undefined
      if (!flooded && size > maxBytes * DRAIN_FACTOR) {
        flooded = true
        flood()
      }
      return
    }
    chunks?.push(chunk)
  })
  stream.on('end', () => resolve(chunks))
  stream.on('error', reject)
  stream.on('close', () => {
    if (!stream.readableEnded) reject(new Error('closed before the end of the message'))
  })
  return promise
}
