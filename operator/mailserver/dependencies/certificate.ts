/** CertificateReady. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { type CertificatePair, readCertificate } from '../../certificates/authority.ts'
import { findCondition } from '../../kube/conditions.ts'
import type { Condition } from '../../kube/types.ts'
import { certificateName, tlsSecretName } from '../desired/names.ts'
import { idFor } from '../kinds.ts'
import type { Observed } from '../observe.ts'
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
  if (issuerRef) return issuedStatement(observed, now)
  const read = readCertificate(own?.certificate)
  const name = tlsSecretName(observed.key.name)
  if (!read) return waiting('CertificateReady', 'Creating', `Secret ${name} is being made`)
  return ok(
    'CertificateReady',
    'SelfSigned',
    `Secret ${name} is signed by the operator’s own CA; clients must trust its ca.crt, or give spec.tls an issuer`,
  )
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
  if (read.notAfter <= now) {
    return waiting('CertificateReady', 'Expired', `The certificate in Secret ${name} ended ${day(read.notAfter)}`, {
      pollMs: MINUTE_MS,
    })
  }
  const wildcard = `*.${spec.hostname.split('.').slice(1).join('.')}`
  if (!read.names.has(spec.hostname) && !read.names.has(wildcard)) {
    return ok('CertificateReady', 'NameMissing', `The certificate in Secret ${name} is not for ${spec.hostname}`)
  }
  return ok('CertificateReady', 'Provided', `Secret ${name} is good until ${day(read.notAfter)}`)
}

function issuedStatement({ key, served, children, secrets }: Observed, now: Date): Statement {
  if (!served.Certificate) {
    const message = 'cert-manager is not installed: the API serves no certificates.cert-manager.io'
    return waiting('CertificateReady', 'CRDMissing', message, { pollMs: POLL_MS })
  }
  const name = certificateName(key.name)
  const certificate = children.get(idFor({ kind: 'Certificate' }, name))
  const conditions = (certificate?.status as { conditions?: Condition[] } | undefined)?.conditions
  const ready = findCondition(conditions, 'Ready')
  const read = secrets.tls?.found ? readCertificate(secrets.tls.text['tls.crt']) : undefined
  // Whatever cert-manager is at, a certificate that is still good is still served.
  if (read && read.notAfter > now) {
    const renewing = ready?.status === 'True' ? '' : `; Certificate ${name}: ${ready?.message ?? 'being renewed'}`
    return ok(
      'CertificateReady',
      'Issued',
      `Secret ${tlsSecretName(key.name)} is good until ${day(read.notAfter)}${renewing}`,
    )
  }
  const why = ready?.message ?? 'waiting for cert-manager'
  return waiting('CertificateReady', 'Issuing', `Certificate ${name}: ${why}`, { deadlineMs: 30 * MINUTE_MS })
}

const day = (date: Date) => date.toISOString().slice(0, 10)

/** status.certificate. */
export function certificateFacts(spec: MailServerSpec, observed: Observed, own: CertificatePair | undefined) {
  const { tls } = observed.secrets
  const read = readCertificate(own?.certificate ?? (tls?.found ? tls.text['tls.crt'] : undefined))
  const { issuerRef, secretName } = spec.tls
  return {
    secretName: secretName ?? tlsSecretName(observed.key.name),
    ...(read ? { notAfter: read.notAfter.toISOString().replace(/\.\d{3}Z$/, 'Z') } : {}),
    ...(secretName ? {} : { issuer: issuerRef ? `${issuerRef.kind}/${issuerRef.name}` : 'mail-operator' }),
  }
}
