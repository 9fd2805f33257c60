/** Requests about one object: put, get, head, delete and the steps of a multipart upload. */
import type { IncomingHttpHeaders } from 'node:http'
import { S3Error } from './errors.ts'
import type { ObjectInfo } from './object-file.ts'
import { readDocument } from './payload.ts'
import { type Answer, type S3Request, type S3Stores, xmlAnswer } from './requests.ts'
import { element, elementsOf, textOf } from './xml.ts'

/** One PUT, as S3 allows it. */
const MAX_OBJECT_BYTES = 5 * 1024 ** 3
const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
const KEPT_HEADERS =
  /^(content-type|content-encoding|content-language|content-disposition|cache-control|expires|x-amz-meta-.*)$/
const MAX_METADATA_BYTES = 8192

export async function answerObjectRequest(request: S3Request, key: string, stores: S3Stores): Promise<Answer> {
  const { method, query, bucket } = request
  const uploadId = query.get('uploadId')
  const of = { bucket, key, uploadId: uploadId ?? '' }
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (uploadId !== null) return listParts(of, stores)
      refuseSubresource(query)
      return getObject(request, key, stores)
    case 'PUT':
      if (request.headers['x-amz-copy-source'] !== undefined) throw notImplemented('Copying objects')
      if (uploadId !== null) {
        const info = await stores.uploads.putPart(
          of,
          Number(query.get('partNumber')),
          request.payload(MAX_OBJECT_BYTES),
        )
        return { status: 200, headers: { etag: `"${info.etag}"` } }
      }
      refuseSubresource(query)
      return putObject(request, key, stores)
    case 'POST':
      if (query.has('uploads')) {
        const id = await stores.uploads.create(bucket, key, keptHeaders(request.headers))
        const inner = element('Bucket', bucket) + element('Key', key) + element('UploadId', id)
        return xmlAnswer('InitiateMultipartUploadResult', inner)
      }
      if (uploadId !== null) return completeUpload(request, of, stores)
      break
    case 'DELETE':
      if (uploadId !== null) await stores.uploads.abort(of)
      else {
        refuseSubresource(query)
        await stores.store.remove(bucket, key)
      }
      return { status: 204 }
  }
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.')
}

/** ?acl, ?tagging, ?retention …: not kept, so not pretended. `versionId=null` names the only version there is. */
function refuseSubresource(query: URLSearchParams): void {
  for (const name of ['acl', 'tagging', 'retention', 'legal-hold', 'torrent', 'attributes', 'restore', 'select']) {
    if (query.has(name)) throw notImplemented(`?${name}`)
  }
  const version = query.get('versionId')
  if (version !== null && version !== 'null') throw notImplemented('Versions')
}

function notImplemented(what: string): S3Error {
  return new S3Error('NotImplemented', `${what} is not implemented by this server.`)
}

async function putObject(request: S3Request, key: string, { store }: S3Stores): Promise<Answer> {
  const { headers, bucket } = request
  const condition = headers['if-none-match']
  if (headers['if-match'] !== undefined || (condition !== undefined && condition !== '*')) {
    throw notImplemented('Writing on a condition other than If-None-Match: *')
  }
  const info = await store.put(bucket, key, request.payload(MAX_OBJECT_BYTES), {
    headers: keptHeaders(headers),
    onlyIfAbsent: condition === '*',
  })
  return { status: 200, headers: { etag: `"${info.etag}"` } }
}

function keptHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {}
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!KEPT_HEADERS.test(name) || value === undefined) continue
    // aws-chunked describes the transfer, not the object.
    const text = String(value).replace(/^aws-chunked(, *|$)/, '')
    if (text === '') continue
    kept[name] = text
    bytes += name.length + text.length
  }
  if (bytes > MAX_METADATA_BYTES) throw new S3Error('InvalidArgument', 'Your metadata headers exceed the maximum size')
  return kept
}

async function getObject(request: S3Request, key: string, { store }: S3Stores): Promise<Answer> {
  const object = await store.open(request.bucket, key)
  try {
    const { info } = object
    const headers: Record<string, string | number> = {
      'content-type': 'binary/octet-stream',
      ...info.headers,
      etag: `"${info.etag}"`,
      'last-modified': new Date(info.lastModifiedMs).toUTCString(),
      'accept-ranges': 'bytes',
    }
    if (unchanged(request.headers, info)) {
      await object[Symbol.asyncDispose]()
      return { status: 304, headers }
    }
    const range = rangeOf(request.headers.range, info.size)
    const [start, end] = range ?? [0, info.size]
    headers['content-length'] = end - start
    if (range) headers['content-range'] = `bytes ${start}-${end - 1}/${info.size}`
    return { status: range ? 206 : 200, headers, body: object.read(start, end), after: object }
  } catch (error) {
    await object[Symbol.asyncDispose]()
    throw error
  }
}

/** RFC 9110 §13.2.2, with S3's errors. @returns true for 304 */
function unchanged(headers: IncomingHttpHeaders, info: ObjectInfo): boolean {
  const names = (list: string): boolean =>
    list.split(',').some((tag) => ['*', info.etag].includes(tag.trim().replace(/^W\//, '').replace(/^"|"$/g, '')))
  const modifiedSince = (date: string): boolean => Math.floor(info.lastModifiedMs / 1000) * 1000 > Date.parse(date)
  const failed = new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (match !== undefined) {
    if (!names(match)) throw failed
  } else if (headers['if-unmodified-since'] !== undefined && modifiedSince(headers['if-unmodified-since'])) throw failed
  if (noneMatch !== undefined) return names(noneMatch)
  return headers['if-modified-since'] !== undefined && !modifiedSince(headers['if-modified-since'])
}

/** One byte range (RFC 9110 §14.1.2), as [start, end exclusive]; several or malformed ones are ignored, as S3 does. */
function rangeOf(header: string | undefined, size: number): [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  const [, first = '', last = ''] = match
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start >= size) throw new S3Error('InvalidRange', 'The requested range is not satisfiable')
  return [start, end]
}

async function listParts(
  of: { bucket: string; key: string; uploadId: string },
  { uploads }: S3Stores,
): Promise<Answer> {
  const parts = await uploads.parts(of)
  const inner = parts.map(
    ({ number, info }) =>
      `<Part>${element('PartNumber', number)}${element('LastModified', new Date(info.lastModifiedMs).toISOString())}` +
      `${element('ETag', `"${info.etag}"`)}${element('Size', info.size)}</Part>`,
  )
  const head = element('Bucket', of.bucket) + element('Key', of.key) + element('UploadId', of.uploadId)
  return xmlAnswer('ListPartsResult', `${head}${element('IsTruncated', false)}${inner.join('')}`)
}

async function completeUpload(
  request: S3Request,
  of: { bucket: string; key: string; uploadId: string },
  { uploads }: S3Stores,
): Promise<Answer> {
  const document = await readDocument(request.payload(MAX_DOCUMENT_BYTES))
  const parts = elementsOf(document, 'Part').map((part) => ({
    number: Number(textOf(part, 'PartNumber')),
    etag: (textOf(part, 'ETag') ?? '').trim().replace(/^"|"$/g, ''),
  }))
  const info = await uploads.complete(of, parts)
  const location = `http://${request.headers.host}/${of.bucket}/${encodeURIComponent(of.key)}`
  const inner =
    element('Location', location) +
    element('Bucket', of.bucket) +
    element('Key', of.key) +
    element('ETag', `"${info.etag}"`)
  return xmlAnswer('CompleteMultipartUploadResult', inner)
}
