/**
 * How a bucket is configured. Each setting is looked at first and written only when it differs. What the spec asks for
 * must come true; the lifecycle rule is a service of ours, so where it cannot be had that is a warning.
 */

import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Client } from 'minio'
import type { BucketWishes } from './client.ts'
import { troubleOf } from './trouble.ts'

const RULE_ID = 'mail-operator-abort-incomplete-uploads'
const ABORT_AFTER_DAYS = 7
/** S3's way to keep what an earlier lifecycle configuration said about small objects. */
const TRANSITION_HEADER = 'x-amz-transition-default-minimum-object-size'

/** @returns what could not be had and nobody asked for; @throws Error for what the spec asks for */
export async function configureBucket(client: Client, wishes: BucketWishes): Promise<string[]> {
  if (wishes.versioning) await named('versioning', enableVersioning(client, wishes.bucket))
  if (wishes.encryption === 'AES256') await named('default encryption', encrypt(client, wishes.bucket))
  try {
    await abortIncompleteUploads(client, wishes)
    return []
  } catch (error) {
    return [`no lifecycle rule ends incomplete uploads (${troubleOf(error).message})`]
  }
}

async function enableVersioning(client: Client, bucket: string): Promise<void> {
  const current = (await client.getBucketVersioning(bucket)) as { Status?: string } | undefined
  if (current?.Status !== 'Enabled') await client.setBucketVersioning(bucket, { Status: 'Enabled' })
}

async function encrypt(client: Client, bucket: string): Promise<void> {
  const current = await client.getBucketEncryption(bucket).catch((error: unknown) => {
    // Who may not look may still set it, as rights were documented before.
    const known = ['ServerSideEncryptionConfigurationNotFoundError', 'AccessDenied']
    if (!known.includes(troubleOf(error).code)) throw error
  })
  if (JSON.stringify(current ?? '').includes('"SSEAlgorithm":"AES256"')) return
  const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }
  await client.setBucketEncryption(bucket, { Rule: [rule] })
}

/**
 * Uploads that were cut off cost space for ever. The rules that are there are kept to the byte and ours is put beside
 * them, so the document is handled as text: a parser would turn the prefix "007" into a number.
 */
async function abortIncompleteUploads(client: Client, { bucket, prefix }: BucketWishes): Promise<void> {
  const { document, headers } = await readLifecycle(client, bucket)
  const rules = document.match(/<Rule(?:\s[^>]*)?>.*?<\/Rule\s*>/gs) ?? []
  const id = prefix === '' ? RULE_ID : `${RULE_ID}-${prefix}`
  if (rules.some((rule) => rule.includes(`<ID>${id}</ID>`) || abortsAll(rule))) return
  const ours =
    `<Rule><ID>${id}</ID><Filter><Prefix>${prefix}</Prefix></Filter><Status>Enabled</Status>` +
    `<AbortIncompleteMultipartUpload><DaysAfterInitiation>${ABORT_AFTER_DAYS}</DaysAfterInitiation>` +
    '</AbortIncompleteMultipartUpload></Rule>'
  const body = Buffer.from(`<LifecycleConfiguration>${rules.join('')}${ours}</LifecycleConfiguration>`)
  const md5 = createHash('md5').update(body).digest('base64')
  await client.makeRequestAsyncOmit(
    { method: 'PUT', bucketName: bucket, query: 'lifecycle', headers: { ...headers, 'Content-MD5': md5 } },
    body,
  )
}

/** No rules only where the service says that there are none: whatever cannot be read must not be overwritten. */
async function readLifecycle(
  client: Client,
  bucket: string,
): Promise<{ document: string; headers: Record<string, string> }> {
  try {
    const response = await client.makeRequestAsync({
      method: 'GET',
      bucketName: bucket,
      query: 'lifecycle',
      headers: {},
    })
    const transition = response.headers[TRANSITION_HEADER]
    const document = await text(response)
    if (!/<LifecycleConfiguration[\s/>]/.test(document)) throw new Error('the answer is no LifecycleConfiguration')
    return { document, headers: transition === undefined ? {} : { [TRANSITION_HEADER]: String(transition) } }
  } catch (error) {
    if (troubleOf(error).code === 'NoSuchLifecycleConfiguration') return { document: '', headers: {} }
    throw error
  }
}

/** Somebody's own rule that does the same for the whole bucket. */
function abortsAll(rule: string): boolean {
  const prefixes = [...rule.matchAll(/<Prefix>([^<]*)<\/Prefix>/g)].map(([, prefix]) => prefix)
  return (
    /<Status>\s*Enabled\s*<\/Status>/.test(rule) &&
    rule.includes('<AbortIncompleteMultipartUpload>') &&
    !/<(And|Tag)>/.test(rule) &&
    prefixes.every((prefix) => prefix === '')
  )
}

/** Says which setting it was: a service's "NotImplemented" alone tells nobody. */
async function named(what: string, work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    const { code, message } = troubleOf(error)
    throw Object.assign(new Error(`${what}: ${message}`, { cause: error }), { code })
  }
}
