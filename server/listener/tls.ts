/**
 * The server certificate: read from mounted files, read again when they change (cert-manager renews, Kubernetes swaps the
 * files), never replaced by a pair that does not work.
 */
import { X509Certificate } from 'node:crypto'
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
}

/** The certificate in use. */
export interface CertificateSource extends Disposable {
  /** undefined until there was a working pair. */
  current(): CertificatePair | undefined
  /** Why the files as they lie there now are not in use; undefined when they are. */
  problem(): string | undefined
  /** Runs after every replacement, the first included. @returns stops it */
  onChange(listener: (pair: CertificatePair) => void): () => void
}

export interface CertificateOptions {
  /** Absolute paths, asked at every look. */
  files: () => { certFile: string; keyFile: string }
  log: Logger
  registry: Registry
  intervalMs?: number
}

/** Starts watching; resolves after the first look, whatever that found. */
export async function watchCertificate({
  files,
  log,
  registry,
  intervalMs,
}: CertificateOptions): Promise<CertificateSource> {
  const expiration = new Gauge({
    name: 'mail_tls_certificate_expiration_timestamp_seconds',
    help: 'When the TLS certificate in use ends, in seconds since 1970; 0 without one',
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

  const load = async () => {
    const { certFile, keyFile } = files()
    try {
      const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
      current = readPair(cert, key)
      problem = undefined
      expiration.set(current.notAfter.getTime() / 1000)
      log.info({ certFile, notAfter: current.notAfter }, 'TLS certificate loaded')
      for (const listener of listeners) listener(current)
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
      failures.inc()
      log.warn({ certFile, keyFile, reason: problem, kept: current !== undefined }, 'TLS certificate not usable')
    }
  }
  await load()
  const stop = await watchFiles({
    paths: () => Object.values(files()),
    onChange: load,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  return {
    current: () => current,
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
  // createSecureContext compares the two: X509_check_private_key, "key values mismatch".
  const context = createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
  return { cert, key, context, notAfter: new Date(new X509Certificate(cert).validTo) }
}
