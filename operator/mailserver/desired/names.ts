/**
 * Names and labels of a MailServer's objects: the contract that charts, tests and people rely on. The CRD bounds a
 * MailServer's name (50 characters, a DNS label), so that all but the longest composed names fit as they are.
 */

import { createHash } from 'node:crypto'
import { MANAGED_BY, SERVER_LABEL } from '../../api/group.ts'

/** `text`, or as much of it as fits with a hash that keeps it unique. */
function fitted(text: string, max: number): string {
  if (text.length <= max) return text
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8)
  return `${text.slice(0, max - 9).replace(/[^a-z0-9]+$/, '')}-${hash}`
}

export const configName = (server: string) => `${server}-config`
export const adminSecretName = (server: string) => `${server}-admin`
/** @param number of the certificate, from 1: its Secret and its Certificate have one name */
export const tlsSecretName = (server: string, number = 1) => `${server}-tls${number === 1 ? '' : `-${number}`}`
/** The operator's own CA for a server: never mounted into Pods. */
export const caSecretName = (server: string) => `${server}-tls-ca`
export const certificateName = tlsSecretName
/** CloudNativePG refuses names above 50 characters. */
export const databaseName = (server: string) => fitted(`${server}-db`, 50)
/** Of the Pooler and its Service. */
export const poolerName = (server: string) => `${server}-db-pooler`
/** Of the ObjectStore that a database is recovered from. */
export const recoveryStoreName = (server: string) => `${server}-db-recovery`
export const databaseCredentialsName = (server: string) => `${server}-db-credentials`
export const httpServiceName = (server: string) => `${server}-http`
export const mailServiceName = (server: string) => server
export const dkimSecretName = (server: string, domain: string, selector: string) =>
  fitted(`${server}-dkim-${domain}-${selector}`, 253)
/** Its Pods carry the name as a label, which has at most 63 characters. */
export const preflightName = (server: string, hash: string) => fitted(`${server}-preflight-${hash}`, 63)
/** Directory of the engine with the certificates beside the first. */
export const FURTHER_TLS = 'tls-further'
/** File in it. @param key of the certificate's Secret */
export const furtherTlsFile = (number: number, key: 'tls.crt' | 'tls.key') => `${number}/${key}`
/** File in the engine's dkim directory. */
export const dkimFileName = (domain: string, selector: string) => `${domain}.${selector}.pem`

export const ENGINE_COMPONENT = 'mail-engine'
/** Of Pods that must never be behind the engine's Services. */
export const PREFLIGHT_COMPONENT = 'mail-preflight'

/** Selects the engine's Pods. Immutable in a Deployment, so it never changes. */
export function selectorLabels(server: string): Record<string, string> {
  return { 'app.kubernetes.io/name': ENGINE_COMPONENT, 'app.kubernetes.io/instance': server }
}

export function labelsOf(server: string, component = ENGINE_COMPONENT): Record<string, string> {
  return {
    'app.kubernetes.io/name': component,
    'app.kubernetes.io/instance': server,
    'app.kubernetes.io/managed-by': MANAGED_BY,
    [SERVER_LABEL]: server,
  }
}
