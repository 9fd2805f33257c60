/**
 * The server's certificates: read from mounted files, read again when they change (cert-manager renews, Kubernetes swaps
 * the files), never replaced by a pair that does not work. One is the server's own; further ones are for names that it is
 * not for, because no public CA puts the names of any number of domains into one.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import { watchFiles } from '../process/watched-files.ts'

export interface CertificatePair {
  /** PEM chain, leaf first. */
  cert: string
  /** PEM private key. */
  key: string
  context: SecureContext
  notAfter: Date
  /** DNS names (subjectAltName), lower case; a wildcard as it stands. */
  names: readonly string[]
}

export interface PairFiles {
  certFile: string
  keyFile: string
}

/** The certificates in use. */
export interface CertificateSource extends Disposable {
  /** The server's own; undefined until there was a working pair. */
  current(): CertificatePair | undefined
  /** A further one for the name that a client asks for by SNI (RFC 6066 §3); undefined: the server's own is to be shown. */
  forName(serverName: string): CertificatePair | undefined
  /** Why the server's own files as they lie there now are not in use; undefined when they are. */
  problem(): string | undefined
  /** Runs after every replacement of the server's own, the first included. @returns stops it */
  onChange(listener: (pair: CertificatePair) => void): () => void
}

export interface CertificateOptions {
  /** Absolute paths, asked at every look. */
  files: () => PairFiles
  /** Of further pairs, which may come later than the names that they are for. */
  additional?: () => PairFiles[]
  log: Logger
  registry: Registry
  intervalMs?: number
}

/** Starts watching; resolves after the first look, whatever that found. */
export async function watchCertificate({
  files,
  additional = () => [],
  log,
  registry,
  intervalMs,
}: CertificateOptions): Promise<CertificateSource> {
  const expiration = new Gauge({
    name: 'mail_tls_certificate_expiration_timestamp_seconds',
    help: 'When the first of the TLS certificates in use ends, in seconds since 1970; 0 without one',
    aggregator: 'min',
    registers: [registry],
  })
  const failures = new Counter({
    name: 'mail_tls_reload_failures_total',
    help: 'Looks at changed TLS files that found no working pair',
    registers: [registry],
  })
  const listeners = new Set<(pair: CertificatePair) => void>()
  let current: CertificatePair | undefined
  let problem: string | undefined
  /** By certFile. */
  let further = new Map<string, CertificatePair>()
  let byName = new Map<string, CertificatePair>()

  /** @returns the pair as it lies there, or `before` where that is the same. @throws when it does not work */
  async function read({ certFile, keyFile }: PairFiles, before: CertificatePair | undefined): Promise<CertificatePair> {
    // One after the other: where both are missing, the certificate is always the one that is named.
    const cert = await readFile(certFile, 'utf8')
    const key = await readFile(keyFile, 'utf8')
    if (before?.cert === cert && before.key === key) return before
    const pair = readPair(cert, key)
    log.info({ certFile, notAfter: pair.notAfter }, 'TLS certificate loaded')
    return pair
  }
  /** @returns why */
  function unusable({ certFile, keyFile }: PairFiles, error: unknown, kept: boolean): string {
    const reason = error instanceof Error ? error.message : String(error)
    failures.inc()
    log.warn({ certFile, keyFile, reason, kept }, 'TLS certificate not usable')
    return reason
  }

  async function loadOwn(): Promise<void> {
    const before = current
    try {
      current = await read(files(), before)
      problem = undefined
    } catch (error) {
      problem = unusable(files(), error, before !== undefined)
    }
    if (current && current !== before) for (const listener of listeners) listener(current)
  }
  async function loadAdditional(): Promise<void> {
    const next = new Map<string, CertificatePair>()
    for (const pair of additional()) {
      const before = further.get(pair.certFile)
      try {
        next.set(pair.certFile, await read(pair, before))
      } catch (error) {
        if (before) next.set(pair.certFile, before)
        const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
        if (absent && !before) log.info({ certFile: pair.certFile }, 'TLS certificate not there yet')
        else unusable(pair, error, before !== undefined)
      }
    }
    further = next
    byName = new Map([...next.values()].flatMap((pair) => pair.names.map((name) => [name, pair])))
  }
  async function load(): Promise<void> {
    await loadOwn()
    await loadAdditional()
    const ends = [current, ...further.values()].flatMap((pair) => (pair ? [pair.notAfter.getTime() / 1000] : []))
    if (ends.length > 0) expiration.set(Math.min(...ends))
  }
  const stop = await watchFiles({
    paths: () => [files(), ...additional()].flatMap(({ certFile, keyFile }) => [certFile, keyFile]),
    read: load,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  return {
    current: () => current,
    forName(serverName) {
      const name = serverName.toLowerCase()
      // A wildcard stands for one label (RFC 9525 §6.3).
      return byName.get(name) ?? byName.get(name.replace(/^[^.]+/, '*'))
    },
    problem: () => problem,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    [Symbol.dispose]: stop,
  }
}

/** @throws when the certificate and the key are broken or do not belong together */
export function readPair(cert: string, key: string): CertificatePair {
  createPrivateKey(key) // createSecureContext takes an empty text for no key, and its handshakes fail
  // createSecureContext compares the two: X509_check_private_key, "key values mismatch".
  const context = createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
  const { validTo, subjectAltName = '' } = new X509Certificate(cert)
  const names = subjectAltName.split(', ').flatMap((name) => /^DNS:(.+)$/.exec(name)?.[1]?.toLowerCase() ?? [])
  return { cert, key, context, notAfter: new Date(validTo), names }
}
