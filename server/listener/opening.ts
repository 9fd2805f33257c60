/** The first bytes of a connection: a PROXY header to take off, and one byte to tell the protocol by. */
import type { Socket } from 'node:net'
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from './proxy-protocol.ts'

export interface Opening {
  /** The client's address from a PROXY header. */
  address?: string
  /** The first byte after it, which stays unread. */
  firstByte?: number
  /** The header is there and broken. */
  invalid?: string
}

/**
 * Reads as little as it takes and puts the rest back.
 * @returns undefined when the peer closed before it sent enough
 */
export async function readOpening(
  socket: Socket,
  want: { proxyHeader: boolean; firstByte: boolean },
): Promise<Opening | undefined> {
  if (!want.proxyHeader && !want.firstByte) return {}
  let bytes: Buffer = Buffer.alloc(0)
  let address: string | undefined
  let headerWanted = want.proxyHeader
  for (;;) {
    if (headerWanted && bytes.length > 0) {
      const header = parseProxyHeader(bytes)
      if (header.kind === 'invalid') return { invalid: header.reason }
      if (header.kind === 'header') {
        address = header.address
        bytes = bytes.subarray(header.lengthBytes)
      }
      if (header.kind !== 'incomplete') headerWanted = false
    }
    if (!headerWanted && (bytes.length > 0 || !want.firstByte)) break
    if (bytes.length > MAX_PROXY_HEADER_BYTES) return { invalid: 'header too long' }
    const chunk = await nextChunk(socket)
    if (chunk === undefined) return undefined
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
  }
  const firstByte = bytes[0]
  if (bytes.length > 0) socket.unshift(bytes)
  return { ...(address === undefined ? {} : { address }), ...(firstByte === undefined ? {} : { firstByte }) }
}

async function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: Buffer | null = socket.read()
    if (chunk !== null) return chunk
    if (socket.readableEnded || socket.destroyed) return undefined
    const { promise, resolve } = Promise.withResolvers<void>()
    const events = ['readable', 'end', 'close'] as const
    for (const event of events) socket.once(event, resolve)
    await promise
    for (const event of events) socket.off(event, resolve)
  }
}
