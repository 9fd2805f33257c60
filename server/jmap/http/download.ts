/** GET /jmap/download/{accountId}/{blobId}/{name}?type= (RFC 8620 §6.2). */
import type { Account } from '../../accounts/accounts.ts'
import { HttpError } from '../../http/errors.ts'
import type { RequestContext } from '../../http/types.ts'
import { readJmapBlob } from '../blobs.ts'
import type { JmapDeps } from '../method.ts'

const MEDIA_TYPE =
  /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:\s*;\s*[\w!#$&^.+-]{1,127}=(?:[\w!#$&^.+-]{1,127}|"[\w !#$&^.+-]{0,127}"))*$/

/** @throws HttpError 404 */
export async function download(
  { request, response, url }: RequestContext,
  path: readonly string[],
  account: Account,
  deps: JmapDeps,
): Promise<void> {
  const [accountId, blobId = '', name = ''] = path
  const mine = accountId === account.id
  const blob = mine && path.length === 3 ? await readJmapBlob(account.id, blobId, deps) : undefined
  if (!blob) throw new HttpError(404, 'there is no such blob')
  const asked = url.searchParams.get('type') ?? ''
  response.writeHead(200, {
    'Content-Type': MEDIA_TYPE.test(asked) ? asked : (blob.type ?? 'application/octet-stream'),
    'Content-Length': String(blob.bytes.length),
    'Content-Disposition': `attachment; filename*=utf-8''${encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, percent)}`,
    // The id names the bytes, so that they never change (RFC 8620 §6.2); they are one person's all the same.
    'Cache-Control': 'private, immutable, max-age=31536000',
    // Mail is written by strangers: it must not run in this origin.
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "sandbox; default-src 'none'",
  })
  response.end(request.method === 'HEAD' ? undefined : blob.bytes)
}

const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
