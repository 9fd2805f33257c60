/** The private keys that outgoing mail is signed with: files that the configuration names, read again when either changes. */
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { Gauge, type Registry } from 'prom-client'
import type { SigningKey } from '../senderauth/types.ts'
import type { LiveConfig } from './live-config.ts'
import { watchFiles } from './watched-files.ts'

/** There may be thousands of files, and a key is published in DNS long before it is used. */
const LOOK_MS = 10_000

export interface DkimKeys extends Disposable {
  /** The usable keys of a domain of ours; empty for others. */
  signingKeys(domain: string): SigningKey[]
}

/** Resolves after the first look. A key that cannot be read is logged and counted, and its domain's mail goes without it. */
export async function watchDkimKeys(options: {
  config: LiveConfig
  rootDirectory: string
  log: Logger
  registry: Registry
}): Promise<DkimKeys> {
  const { config, rootDirectory, log } = options
  const missing = new Gauge({
    name: 'mail_dkim_keys_missing',
    help: 'DKIM keys of the configuration that cannot be read',
    aggregator: 'max',
    registers: [options.registry],
  })
  let byDomain = new Map<string, SigningKey[]>()
  const configured = () =>
    (config.current()?.domains ?? []).flatMap(({ name, dkim }) => dkim.map((key) => ({ domain: name, ...key })))

  const load = async () => {
    const next = new Map<string, SigningKey[]>()
    let failures = 0
    for (const { domain, selector, algorithm, keyFile } of configured()) {
      try {
        const privateKey = await readFile(join(rootDirectory, keyFile), 'utf8')
        createPrivateKey(privateKey) // throws for what is no key
        next.set(domain, [...(next.get(domain) ?? []), { domain, selector, algorithm, privateKey }])
      } catch (error) {
        failures++
        log.error(
          { domain, selector, keyFile, reason: error instanceof Error ? error.message : 'unknown' },
          'DKIM key not usable',
        )
      }
    }
    byDomain = next
    missing.set(failures)
  }
  const stopConfig = config.onChange(() => void load())
  const stopFiles = await watchFiles({
    paths: () => configured().map(({ keyFile }) => join(rootDirectory, keyFile)),
    read: load,
    intervalMs: LOOK_MS,
  })
  return {
    signingKeys: (domain) => byDomain.get(domain) ?? [],
    [Symbol.dispose]() {
      stopConfig()
      stopFiles()
    },
  }
}
