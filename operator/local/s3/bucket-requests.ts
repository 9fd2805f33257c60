/** Requests about a bucket, or about all of them. */
import { S3Error, type S3ErrorCode } from './errors.ts'
import { listObjects } from './listing.ts'
import { readDocument } from './payload.ts'
import { type Answer, type S3Request, type S3Stores, xmlAnswer } from './requests.ts'
import { element, elementsOf, textOf } from './xml.ts'

const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
const MAX_DELETES = 1000

/** Configurations that are kept as they came, and what GET says where there is none. */
const KEPT: Record<string, S3ErrorCode> = {
  lifecycle: 'NoSuchLifecycleConfiguration',
  tagging: 'NoSuchTagSet',
  policy: 'NoSuchBucketPolicy',
}

/** Configurations that we do not carry out: GET tells the truth (S3's words for "not set"), PUT is refused. */
const ABSENT: Record<string, S3ErrorCode | string> = {
  versioning: 'VersioningConfiguration',
  encryption: 'ServerSideEncryptionConfigurationNotFoundError',
  'object-lock': 'ObjectLockConfigurationNotFoundError',
  notification: 'NotificationConfiguration',
  accelerate: 'AccelerateConfiguration',
  logging: 'BucketLoggingStatus',
}
const OTHER = ['acl', 'cors', 'website', 'replication', 'requestPayment', 'ownershipControls', 'publicAccessBlock',
  'policyStatus', 'inventory', 'analytics', 'metrics', 'intelligent-tiering', 'versions'] // biome-ignore format: a list

export async function answerServiceRequest(request: S3Request, { store }: S3Stores): Promise<Answer> {
  if (request.method !== 'GET') throw methodNotAllowed()
  const buckets = (await store.listBuckets()).map(
    ({ name, createdMs }) =>
      `<Bucket>${element('Name', name)}${element('CreationDate', new Date(createdMs).toISOString())}</Bucket>`,
  )
  const owner = `<Owner>${element('ID', 'local')}${element('DisplayName', 'local')}</Owner>`
  return xmlAnswer('ListAllMyBucketsResult', `${owner}<Buckets>${buckets.join('')}</Buckets>`)
}

export async function answerBucketRequest(request: S3Request, stores: S3Stores): Promise<Answer> {
  const { method, bucket, query } = request
  const { store, uploads } = stores
  if (method === 'PUT' && ![...query.keys()].some((name) => name in KEPT || name in ABSENT || OTHER.includes(name))) {
    return createBucket(request, stores)
  }
  const about = await store.bucket(bucket)
  for (const name of query.keys()) {
    if (name in KEPT) return configuration(request, name, stores)
    const absent = ABSENT[name]
    if (absent !== undefined) return absentConfiguration(method, name, absent)
    if (OTHER.includes(name)) throw new S3Error('NotImplemented', `?${name} is not implemented by this server.`)
  }
  switch (method) {
    case 'HEAD':
      return { status: 200, headers: { 'x-amz-bucket-region': about.region } }
    case 'GET':
      if (query.has('location')) return location(about.region)
      if (query.has('uploads')) return listUploads(bucket, query.get('prefix') ?? '', stores)
      return {
        status: 200,
        headers: { 'content-type': 'application/xml' },
        body: await listObjects(store, bucket, query),
      }
    case 'POST':
      if (query.has('delete')) return deleteObjects(request, stores)
      throw methodNotAllowed()
    case 'DELETE':
      await store.deleteBucket(bucket)
      await uploads.abortBefore(bucket, Number.POSITIVE_INFINITY)
      return { status: 204 }
    default:
      throw methodNotAllowed()
  }
}

function methodNotAllowed(): S3Error {
  return new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.')
}

/** us-east-1 is told as an empty element, for ever (GetBucketLocation). */
function location(region: string): Answer {
  return xmlAnswer('LocationConstraint', region === 'us-east-1' ? '' : region)
}

async function createBucket(request: S3Request, { store }: S3Stores): Promise<Answer> {
  if (request.headers['x-amz-bucket-object-lock-enabled'] === 'true') {
    throw new S3Error('NotImplemented', 'Object lock is not implemented by this server.')
  }
  const document = await readDocument(request.payload(MAX_DOCUMENT_BYTES))
  await store.createBucket(request.bucket, textOf(document, 'LocationConstraint') ?? 'us-east-1')
  return { status: 200, headers: { location: `/${request.bucket}` } }
}

async function configuration(request: S3Request, name: string, { store }: S3Stores): Promise<Answer> {
  const { bucket, method } = request
  switch (method) {
    case 'GET': {
      const document = await store.readConfiguration(bucket, name)
      if (document === undefined)
        throw new S3Error(KEPT[name] ?? 'InternalError', `The bucket has no ${name} configuration`)
      return { status: 200, headers: { 'content-type': 'application/xml' }, body: document }
    }
    case 'PUT': {
      const document = await readDocument(request.payload(MAX_DOCUMENT_BYTES))
      if (name === 'lifecycle') checkLifecycle(document)
      await store.writeConfiguration(bucket, name, document)
      return { status: name === 'policy' ? 204 : 200 } // as MinIO; its clients insist
    }
    case 'DELETE':
      await store.writeConfiguration(bucket, name, undefined)
      return { status: 204 }
    default:
      throw methodNotAllowed()
  }
}

/** Only what uploads.ts carries out: rules that abort incomplete uploads. */
function checkLifecycle(document: string): void {
  const rules = elementsOf(document, 'Rule')
  if (rules.length === 0) throw new S3Error('MalformedXML', 'The XML you provided was not well-formed.')
  for (const rule of rules) {
    if (/<(Expiration|Transition|NoncurrentVersion\w+)[\s>/]/.test(rule)) {
      throw new S3Error(
        'NotImplemented',
        'Of lifecycle rules this server carries out AbortIncompleteMultipartUpload only.',
      )
    }
  }
}

function absentConfiguration(method: string, name: string, absent: string): Answer {
  if (method === 'GET') {
    if (absent.endsWith('Error')) {
      throw new S3Error(absent as S3ErrorCode, `The bucket has no ${name} configuration`)
    }
    return xmlAnswer(absent, '')
  }
  if (method === 'DELETE' && name === 'encryption') return { status: 204 }
  throw new S3Error('NotImplemented', `?${name} is not implemented by this server.`)
}

async function listUploads(bucket: string, prefix: string, { uploads }: S3Stores): Promise<Answer> {
  const below = (await uploads.list(bucket)).filter(({ key }) => key.startsWith(prefix))
  const inner = below.map(
    ({ id, key, initiatedMs }) =>
      `<Upload>${element('Key', key)}${element('UploadId', id)}` +
      `${element('Initiated', new Date(initiatedMs).toISOString())}</Upload>`,
  )
  return xmlAnswer(
    'ListMultipartUploadsResult',
    `${element('Bucket', bucket)}${element('IsTruncated', false)}${inner.join('')}`,
  )
}

async function deleteObjects(request: S3Request, { store }: S3Stores): Promise<Answer> {
  const document = await readDocument(request.payload(MAX_DOCUMENT_BYTES))
  const objects = elementsOf(document, 'Object')
  if (objects.length === 0 || objects.length > MAX_DELETES) {
    throw new S3Error('MalformedXML', `A delete request names 1 to ${MAX_DELETES} objects.`)
  }
  const quiet = textOf(document, 'Quiet') === 'true'
  const answers: string[] = []
  for (const object of objects) {
    const key = textOf(object, 'Key') ?? ''
    try {
      await store.remove(request.bucket, key)
      if (!quiet) answers.push(`<Deleted>${element('Key', key)}</Deleted>`)
    } catch (error) {
      const { code, message } = error instanceof S3Error ? error : new S3Error('InternalError', 'The delete failed.')
      answers.push(`<Error>${element('Key', key)}${element('Code', code)}${element('Message', message)}</Error>`)
    }
  }
  return xmlAnswer('DeleteResult', answers.join(''))
}
