/** Request bodies, within bounds. */
import type { IncomingMessage } from 'node:http'
import { HttpError } from './errors.ts'

/**
 * Reads the whole body.
 * @throws HttpError 413 as soon as it is clear that it is longer than `maxBytes`; 400 when the client breaks off
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () =>
    new HttpError(413, `the request body may have at most ${maxBytes} bytes`, { headers: { Connection: 'close' } })
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let length = 0
  try {
    // A refusal must still reach the client: leaving the loop keeps the connection.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxBytes) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof HttpError ? error : new HttpError(400, 'the request body broke off', { cause: error })
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length)
}

/** Reads a JSON body. @throws HttpError 400 when it is not JSON, 413 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const body = await readBody(request, maxBytes)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (error) {
    throw new HttpError(400, 'the request body is not JSON', { cause: error })
  }
}
