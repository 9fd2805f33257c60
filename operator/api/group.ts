/** The API group, its two kinds, and the label and annotation keys that are part of its contract. */

import type { Resource } from '../kube/types.ts'

export const GROUP = 'mail.openova.io'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}`

export const MailServerResource: Resource = {
  group: GROUP,
  version: VERSION,
  kind: 'MailServer',
  plural: 'mailservers',
  namespaced: true,
}
export const MailAccountResource: Resource = {
  group: GROUP,
  version: VERSION,
  kind: 'MailAccount',
  plural: 'mailaccounts',
  namespaced: true,
}

/** On every object of a MailServer: its name. What the operator watches is selected by the presence of this label. */
export const SERVER_LABEL = `${GROUP}/server`
/** On the generated password Secret of a MailAccount: its name. */
export const ACCOUNT_LABEL = `${GROUP}/account`
/** Hash of what the operator applied last. */
export const APPLIED_HASH = `${GROUP}/applied-hash`
/** "true" on a MailServer or MailAccount: the operator looks and writes status, but changes nothing else. */
export const PAUSED = `${GROUP}/paused`
/** Any new value makes the operator look at everything again now, background checks included. */
export const RECONCILE_AT = `${GROUP}/reconcile-at`
/** Any new value on a MailServer starts a rotation of its DKIM keys. */
export const ROTATE_DKIM = `${GROUP}/rotate-dkim`
/** "true" on an object being deleted: drop the finalizer without touching the bucket or the engine's account. */
export const SKIP_CLEANUP = `${GROUP}/skip-cleanup`
/** Only on a MailServer with deletionPolicy Delete and a bucket, and on MailAccounts with deletionPolicy Delete. */
export const FINALIZER = `${GROUP}/cleanup`

export const MANAGED_BY = 'mail-operator'
/** Field manager of what the operator applies; status has its own. */
export const FIELD_MANAGER = 'mail-operator'
export const STATUS_MANAGER = 'mail-operator-status'
