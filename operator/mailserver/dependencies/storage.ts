/** StorageReady. */

import { ACCEPT_LOSS } from '../../api/group.ts'
import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import type { MailServerStatus } from '../../api/mail-server-status.ts'
import { isEndpoint } from '../../api/networks.ts'
import type { BucketState } from '../../bucket/bucket.ts'
import type { BucketWishes } from '../../bucket/client.ts'
import { findCondition, rfc3339 } from '../../kube/conditions.ts'
import { type Condition, keyText } from '../../kube/types.ts'
import { type Observed, s3Endpoint } from '../observe.ts'
import { ok, POLL_MS, type Statement, waiting } from './statement.ts'

/** What the bucket's check needs; undefined without s3 and while something is missing. */
export function bucketWishes(spec: MailServerSpec, observed: Observed): BucketWishes | undefined {
  const { s3 } = spec.storage
  const { s3: secret, s3Ca } = observed.secrets
  const endpoint = s3Endpoint(spec, observed)
  if (!s3 || !secret?.found || endpoint === undefined) return undefined
  const { accessKey, secretKey } = secret.text
  if (!accessKey || !secretKey) return undefined
  const ca = s3.caSecretRef && s3Ca?.found ? s3Ca.text[s3.caSecretRef.key] : undefined
  if (s3.caSecretRef && !ca) return undefined
  return {
    endpoint,
    region: s3.region,
    bucket: s3.bucket,
    prefix: s3.prefix,
    pathStyle: s3.pathStyle,
    versioning: s3.versioning,
    encryption: s3.encryption,
    owner: keyText(observed.key),
    holdsMail: observed.held.bucketSince !== undefined,
    accessKey: accessKey.trim(),
    secretKey: secretKey.trim(),
    ca,
  }
}

/** @param bucket the last look at it; undefined while there was none */
export function storageStatement(
  spec: MailServerSpec,
  observed: Observed,
  bucket: BucketState | undefined,
  previous: readonly Condition[] | undefined,
): Statement {
  const { s3 } = spec.storage
  if (!s3) return ok('StorageReady', 'InDatabase', 'Message bytes are kept in Postgres')
  const { s3: secret, s3Ca } = observed.secrets
  const missing = (reason: string, message: string) => waiting('StorageReady', reason, message, { pollMs: POLL_MS })
  const name = s3.credentialsSecretRef.name
  if (!secret?.found) {
    return missing('SecretMissing', `Secret ${name} (spec.storage.s3.credentialsSecretRef) does not exist`)
  }
  const lacking = ['accessKey', 'secretKey'].filter((key) => !secret.text[key])
  if (lacking.length > 0) return missing('SecretKeyMissing', `Secret ${name} has no key ${lacking.join(', ')}`)
  const told = s3.endpoint ?? secret.text.endpoint?.trim()
  if (told && !isEndpoint(told)) {
    return missing('EndpointUnusable', `Secret ${name}: endpoint is not of the form http(s)://host[:port]`)
  }
  if (s3Endpoint(spec, observed) === undefined) {
    return missing('SecretKeyMissing', `Secret ${name} has no key endpoint, and spec.storage.s3.endpoint is not given`)
  }
  if (s3.caSecretRef && !(s3Ca?.found && s3Ca.text[s3.caSecretRef.key])) {
    return missing('SecretMissing', `Secret ${s3.caSecretRef.name} with key ${s3.caSecretRef.key} does not exist`)
  }
  if (!bucket) {
    // After a restart of the operator nothing has been looked at yet; what was said before still stands.
    const before = findCondition(previous, 'StorageReady')
    if (before?.status === 'True' && before.reason === 'BucketReady') {
      return ok('StorageReady', before.reason, before.message)
    }
    return waiting('StorageReady', 'Checking', `Bucket ${s3.bucket} is being looked at`)
  }
  if (bucket.ok) return ok('StorageReady', 'BucketReady', bucket.message)
  const { bucketSince } = observed.held
  if (bucket.reason !== 'BucketLost' || bucketSince === undefined) {
    return waiting('StorageReady', bucket.reason, bucket.message)
  }
  const message =
    `${bucket.message}. Bring back there what it held, its mark too, ` +
    `or accept the loss and begin with an empty one: annotate ${ACCEPT_LOSS}=${bucketSince}`
  return waiting('StorageReady', bucket.reason, message, { terminal: true })
}

/** status.storage. @param inUse an engine with an account runs with it */
export function storageFacts(
  { storage: { s3 } }: MailServerSpec,
  { held }: Pick<Observed, 'held'>,
  { inUse, now }: { inUse: boolean; now: Date },
): NonNullable<MailServerStatus['storage']> {
  if (!s3) return { kind: 'Postgres' }
  const since = held.bucketSince ?? (inUse ? rfc3339(now) : undefined)
  return { kind: 'S3', bucket: s3.bucket, ...(since === undefined ? {} : { since }) }
}
