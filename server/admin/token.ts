/** Who may use the admin API: the bearer of the token in a mounted file. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Logger } from 'pino'
import { watchFiles } from '../process/watched-files.ts'

export interface AdminToken extends Disposable {
  /** 'off' when there is no token, and so no admin API. */
  check(authorization: string | undefined): 'granted' | 'refused' | 'off'
}

/** Reads the token, and reads it again when the file changes. */
export async function watchAdminToken(options: {
  file: string
  log: Logger
  intervalMs?: number
}): Promise<AdminToken> {
  const { file, log, intervalMs } = options
  let expected: Buffer | undefined
  const load = async () => {
    const token = await readFile(file, 'utf8').then(
      (text) => text.trim(),
      () => '',
    )
    expected = token === '' ? undefined : digest(token)
    log.info({ enabled: expected !== undefined }, 'admin API')
  }
  const stop = await watchFiles({
    paths: () => [file],
    read: load,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  return {
    check(authorization) {
      if (!expected) return 'off'
      const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      // Digests have one length, so that the comparison takes one time.
      return given !== undefined && timingSafeEqual(digest(given), expected) ? 'granted' : 'refused'
    },
    [Symbol.dispose]: stop,
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
