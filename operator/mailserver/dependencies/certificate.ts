/** CertificateReady. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { type CertificatePair, readCertificate } from '../../certificates/authority.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import { certificateName, tlsSecretName } from '../desired/names.ts'
import { idFor } from '../kinds.ts'
import type { Observed, SecretView } from '../observe.ts'
import { MINUTE_MS, ok, POLL_MS, type Statement, waiting } from './statement.ts'

/** @param own the pair of our own CA, when it is we who issue */
export function certificateStatement(
  spec: MailServerSpec,
  observed: Observed,
  own: CertificatePair | undefined,
  now: Date,
): Statement {
  const { issuerRef, secretName } = spec.tls
  if (secretName) return givenStatement(secretName, spec, observed, now)
  if (issuerRef) return issuedStatement(spec, observed, now)
  const read = readCertificate(own?.certificate)
  const name = tlsSecretName(observed.key.name)
  if (!read) return waiting('CertificateReady', 'Creating', `Secret ${name} is being made`)
  const message = `Secret ${name} is signed by the operator’s own CA; clients must trust its ca.crt, or give spec.tls an issuer`
  return inTime(name, read, now, ok('CertificateReady', 'SelfSigned', message))
}

/** A renewal that has not come so late before the end will not come by itself. */
const WARN_MS = 14 * 86_400_000
/** Of a short life, a part: cert-manager renews at a third. */
const WARN_PART = 1 / 6
const DAY_MS = 86_400_000

/**
 * What is said of a certificate that is in use, unless its end is near or past. Nothing else changes when that day
 * comes, so it says when to look again.
 * @param more what keeps it from being renewed
 */
function inTime(
  secret: string,
  { notBefore, notAfter }: { notBefore: Date; notAfter: Date },
  now: Date,
  good: Statement,
  more = '',
): Statement {
  const left = +notAfter - +now
  if (left <= 0) {
    const message = `The certificate in Secret ${secret} ended ${day(notAfter)}${more}`
    return waiting('CertificateReady', 'Expired', message, { pollMs: MINUTE_MS })
  }
  const warnMs = Math.min(WARN_MS, (+notAfter - +notBefore) * WARN_PART)
  const pollMs = Math.min(DAY_MS, left > warnMs ? left - warnMs : left)
  if (left > warnMs) return { ...good, pollMs }
  const message = `The certificate in Secret ${secret} ends ${notAfter.toISOString()} and is not renewed${more}`
  return { ...ok('CertificateReady', 'ExpiresSoon', message), pollMs }
}

/** Said instead while the CA in the Secret cannot issue. */
export function authorityStatement(trouble: string | undefined): Statement | undefined {
  return trouble === undefined
    ? undefined
    : waiting('CertificateReady', 'AuthorityUnusable', trouble, { terminal: true })
}

function givenStatement(name: string, spec: MailServerSpec, { secrets }: Observed, now: Date): Statement {
  const { tls } = secrets
  if (!tls?.found) {
    return waiting('CertificateReady', 'SecretMissing', `Secret ${name} (spec.tls.secretName) does not exist`, {
      pollMs: POLL_MS,
    })
  }
  const read = readCertificate(tls.text['tls.crt'])
  if (!read || !tls.text['tls.key']) {
    return waiting('CertificateReady', 'SecretUnusable', `Secret ${name} has no readable tls.crt and tls.key`, {
      pollMs: POLL_MS,
    })
  }
  if (!isFor(spec.hostname, read)) {
    const message = `The certificate in Secret ${name} is not for ${spec.hostname}`
    return inTime(name, read, now, ok('CertificateReady', 'NameMissing', message))
  }
  const message = `Secret ${name} is good until ${day(read.notAfter)}`
  return inTime(name, read, now, ok('CertificateReady', 'Provided', message))
}

function isFor(hostname: string, { names }: { names: ReadonlySet<string> }): boolean {
  return names.has(hostname) || names.has(`*.${hostname.split('.').slice(1).join('.')}`)
}

function issuedStatement({ hostname }: MailServerSpec, observed: Observed, now: Date): Statement {
  if (!observed.served.Certificate) {
    const message = 'cert-manager is not installed: the API serves no certificates.cert-manager.io'
    return waiting('CertificateReady', 'CRDMissing', message, { pollMs: POLL_MS })
  }
  const { secrets, certificates } = observed
  const views = [secrets.tls, ...(secrets.furtherTls ?? [])]
  const of = (number: number, index: number) => ({ number, view: views[index], observed, now })
  const [{ number }, ...further] = certificates
  return ofAll([
    ownStatement(hostname, of(number, 0)),
    ...further.map((group, index) => furtherStatement(group.names, of(group.number, index + 1))),
  ])
}

interface Issued {
  number: number
  view: SecretView | undefined
  observed: Pick<Observed, 'key' | 'children'>
  now: Date
}

/** What is in the Secret of a Certificate, and what cert-manager says. */
function issued({ number, view, observed: { key, children } }: Issued) {
  const name = certificateName(key.name, number)
  const certificate = children.get(idFor({ kind: 'Certificate' }, name))
  const ready = findCondition(conditionsOf(certificate), 'Ready')
  const trouble = issuingTrouble(certificate, children)
  return {
    secret: tlsSecretName(key.name, number),
    read: view?.found ? readCertificate(view.text['tls.crt']) : undefined,
    why: trouble ?? `Certificate ${name}: ${ready?.message ?? 'waiting for cert-manager'}`,
    isReady: ready?.status === 'True' && trouble === undefined,
  }
}

/** Of the certificate that mail is served with. Whatever cert-manager is at, one that is still good is still served. */
function ownStatement(hostname: string, given: Issued): Statement {
  const { secret, read, why, isReady } = issued(given)
  if (!read) return waiting('CertificateReady', 'Issuing', why, { deadlineMs: 30 * MINUTE_MS })
  if (!isFor(hostname, read)) {
    const message = `The certificate in Secret ${secret} is not for ${hostname} yet; ${why}`
    return inTime(secret, read, given.now, ok('CertificateReady', 'NameMissing', message), `; ${why}`)
  }
  const renewing = isReady ? '' : `; ${why}`
  const good = ok('CertificateReady', 'Issued', `Secret ${secret} is good until ${day(read.notAfter)}${renewing}`)
  return inTime(secret, read, given.now, good, `; ${why}`)
}

/** Of one that HTTP is served with at names of domains: no mail waits for it to come. */
function furtherStatement(names: readonly string[], given: Issued): Statement {
  const { secret, read, why, isReady } = issued(given)
  if (!read) {
    const message = `HTTP at ${names[0]} and ${names.length - 1} more names has no certificate of its own yet; ${why}`
    return ok('CertificateReady', 'DomainsIssuing', message)
  }
  const renewing = isReady ? '' : `; ${why}`
  const good = ok('CertificateReady', 'Issued', `Secret ${secret} is good until ${day(read.notAfter)}${renewing}`)
  return inTime(secret, read, given.now, good, `; ${why}`)
}

/** The worst of them; where all are good, what each says. */
function ofAll(statements: [Statement, ...Statement[]]): Statement {
  const worst =
    statements.find(({ status }) => status !== 'True') ??
    statements.find(({ reason }) => reason !== 'Issued') ??
    ({ ...statements[0], message: statements.map(({ message }) => message).join('; ') } satisfies Statement)
  const polls = statements.flatMap(({ pollMs }) => pollMs ?? [])
  return polls.length > 0 ? { ...worst, pollMs: Math.min(...polls) } : worst
}

const conditionsOf = (object: KubeObject | undefined) =>
  (object?.status as { conditions?: Condition[] } | undefined)?.conditions

/**
 * What keeps a certificate from being issued, in the words of cert-manager or of the issuer. Ready of the Certificate
 * says only why one is wanted, and stays True while a renewal fails. That an issuer is not there, or what an ACME order
 * waits for, is said of the newest CertificateRequest; that it was refused and will be tried again, of the Certificate.
 */
function issuingTrouble(
  certificate: KubeObject | undefined,
  children: ReadonlyMap<string, KubeObject>,
): string | undefined {
  if (!certificate) return undefined
  const { name } = certificate.metadata
  const issuing = findCondition(conditionsOf(certificate), 'Issuing')
  // After success cert-manager takes the condition away, or sets this reason (feature ServerSideApply).
  if (issuing?.status === 'False' && issuing.reason !== 'Issued') return `Certificate ${name}: ${issuing.message}`
  if (issuing?.status !== 'True') return undefined
  const requests = [...children.values()].filter(
    ({ kind, metadata }) =>
      kind === 'CertificateRequest' && metadata.annotations?.['cert-manager.io/certificate-name'] === name,
  )
  const newest = requests.toSorted((a, b) => revisionOf(b) - revisionOf(a))[0]
  const waits = findCondition(conditionsOf(newest), 'Ready')
  if (!newest || waits?.status !== 'False' || !waits.message) return undefined
  return `CertificateRequest ${newest.metadata.name}: ${waits.message}`
}

const revisionOf = ({ metadata }: KubeObject) =>
  Number(metadata.annotations?.['cert-manager.io/certificate-revision'] ?? 0)

const day = (date: Date) => date.toISOString().slice(0, 10)

/** The chain that the engine shows, PEM, its own certificate first; undefined while it cannot be seen. */
export function servedCertificate({ secrets }: Observed, own: CertificatePair | undefined): string | undefined {
  return own?.certificate ?? (secrets.tls?.found ? secrets.tls.text['tls.crt'] : undefined)
}

/** status.certificate. */
export function certificateFacts(spec: MailServerSpec, observed: Observed, own: CertificatePair | undefined) {
  const read = readCertificate(servedCertificate(observed, own))
  const { issuerRef, secretName } = spec.tls
  const further = (observed.secrets.furtherTls ?? []).map((view) => ({
    secretName: view.name,
    ...ending(view.found ? readCertificate(view.text['tls.crt']) : undefined),
  }))
  return {
    secretName: secretName ?? tlsSecretName(observed.key.name),
    ...ending(read),
    ...(further.length > 0 ? { further } : {}),
    ...(secretName ? {} : { issuer: issuerRef ? `${issuerRef.kind}/${issuerRef.name}` : 'mail-operator' }),
  }
}

function ending(read: { notAfter: Date } | undefined): { notAfter?: string } {
  return read ? { notAfter: read.notAfter.toISOString().replace(/\.\d{3}Z$/, 'Z') } : {}
}
