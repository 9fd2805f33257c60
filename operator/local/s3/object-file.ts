/**
 * One object is one file: its bytes, then its metadata as JSON, then a fixed tail that says how long the JSON is. So bytes
 * and metadata appear, change and vanish together with one rename.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { S3Error } from './errors.ts'
import { createFile, errno } from './files.ts'

const MAGIC = 0x4d_53_33_31 // "MS31"
const TAIL_BYTES = 8

export interface ObjectInfo {
  /** Of the data, in bytes. */
  size: number
  /** Without quotes: hex MD5, or "<hex>-<parts>" after a multipart upload. */
  etag: string
  lastModifiedMs: number
  /** What the client stored beside it: content-type, cache-control, x-amz-meta-*. */
  headers: Record<string, string>
}

export interface OpenObject extends AsyncDisposable {
  info: ObjectInfo
  /** @param end exclusive */
  read(start: number, end: number): AsyncGenerator<Buffer>
}

/** @throws S3Error NoSuchKey when there is no such file */
export async function openObject(path: string): Promise<OpenObject> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error)))
      throw new S3Error('NoSuchKey', 'The specified key does not exist.')
    throw error
  }
  try {
    const info = await readInfo(handle)
    return {
      info,
      async *read(start, end) {
        for (let at = start; at < end; ) {
          const buffer = Buffer.allocUnsafe(Math.min(262_144, end - at))
          const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
          if (bytesRead === 0) throw new S3Error('InternalError', 'The object is truncated on disk.')
          at += bytesRead
          yield buffer.subarray(0, bytesRead)
        }
      },
      [Symbol.asyncDispose]: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function readInfo(handle: FileHandle): Promise<ObjectInfo> {
  const { size } = await handle.stat()
  const tail = Buffer.alloc(TAIL_BYTES)
  if (size >= TAIL_BYTES) await handle.read(tail, 0, TAIL_BYTES, size - TAIL_BYTES)
  const length = tail.readUInt32BE(0)
  if (tail.readUInt32BE(4) !== MAGIC || length > size - TAIL_BYTES) {
    throw new S3Error('InternalError', 'The object is damaged on disk.')
  }
  const json = Buffer.alloc(length)
  await handle.read(json, 0, length, size - TAIL_BYTES - length)
  const { etag, lastModifiedMs, headers } = JSON.parse(json.toString('utf8')) as ObjectInfo
  return { size: size - TAIL_BYTES - length, etag, lastModifiedMs, headers }
}

export interface WriteOptions {
  temporary: string
  headers: Record<string, string>
  now: Date
  /** Given where it is not the MD5 of the data. */
  etag?: string
  onlyIfAbsent?: boolean
}

/**
 * Stores an object durably, or nothing at all when `data` throws.
 * @throws S3Error PreconditionFailed with onlyIfAbsent when there is one already
 */
export async function writeObject(
  path: string,
  data: AsyncIterable<Buffer>,
  options: WriteOptions,
): Promise<ObjectInfo> {
  await using file = await createFile(options.temporary)
  const md5 = createHash('md5')
  let size = 0
  for await (const piece of data) {
    md5.update(piece)
    await file.handle.writeFile(piece)
    size += piece.length
  }
  const info: Omit<ObjectInfo, 'size'> = {
    etag: options.etag ?? md5.digest('hex'),
    lastModifiedMs: options.now.getTime(),
    headers: options.headers,
  }
  const json = Buffer.from(JSON.stringify(info))
  const tail = Buffer.alloc(TAIL_BYTES)
  tail.writeUInt32BE(json.length, 0)
  tail.writeUInt32BE(MAGIC, 4)
  await file.handle.writeFile(Buffer.concat([json, tail]))
  const outcome = await file.commit(path, { onlyIfAbsent: options.onlyIfAbsent ?? false })
  if (outcome === 'exists') {
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
  }
  return { ...info, size }
}
