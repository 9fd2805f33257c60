/** POST /jmap/upload/{accountId}/ (RFC 8620 §6.1). */
import type { Account } from '../../accounts/accounts.ts'
import { sendJson } from '../../http/answers.ts'
import { readBody } from '../../http/body.ts'
import { HttpError } from '../../http/errors.ts'
import type { RequestContext } from '../../http/types.ts'
import type { JmapDeps } from '../method.ts'
import { jmapBlobId } from '../wire/ids.ts'
import { requestError } from '../wire/request.ts'

/** @throws HttpError 404 for another account, 400 limit maxSizeUpload */
export async function upload(
  { request, response }: RequestContext,
  path: readonly string[],
  account: Account,
  { mailstore, config }: JmapDeps,
): Promise<void> {
  const accountId = account.id
  if (path[0] !== accountId) throw new HttpError(404, 'there is no such account')
  const bytes = await readBody(request, config.limits.jmapUploadBytes).catch((error: unknown) => {
    if (!(error instanceof HttpError) || error.status !== 413) throw error
    throw requestError('limit', error.message, { limit: 'maxSizeUpload' })
  })
  const blobId = jmapBlobId(await mailstore.putUpload(account.id, bytes))
  const type = request.headers['content-type'] ?? 'application/octet-stream'
  sendJson(response, 201, { accountId, blobId, type, size: bytes.length })
}
