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
/** On `<server>-db-credentials`: which database it leads to. Another value is another database, with accounts of its own. */
export const DATABASE = `${GROUP}/database`
/** Hash of what the operator applied last. */
export const APPLIED_HASH = `${GROUP}/applied-hash`
/** "true" on a MailServer or MailAccount: the operator looks and writes status, but changes nothing else. */
export const PAUSED = `${GROUP}/paused`
/** Any new value makes the operator look at everything again now, background checks included. */
export const RECONCILE_AT = `${GROUP}/reconcile-at`
/** Any new value on a MailServer starts a rotation of its DKIM keys. */
export const ROTATE_DKIM = `${GROUP}/rotate-dkim`
/**
 * What of a MailServer is lost for good and may be replaced, separated by commas: status.database.clusterUid,
 * status.storage.since. Each names one loss, so that a value which stays there, or is applied again, accepts no other.
 */
export const ACCEPT_LOSS = `${GROUP}/accept-loss`
/** The image that a MailServer's engines may be upgraded to without a preflight, also back across a schema migration. */
export const SKIP_PREFLIGHT = `${GROUP}/skip-preflight`
/** "true" on an object being deleted: drop the finalizer without touching the bucket or the engine's account. */
export const SKIP_CLEANUP = `${GROUP}/skip-cleanup`
/** On a MailServer: the Lease, "namespace/name", of the operator that looks after it. */
export const OPERATOR = `${GROUP}/operator`
/** Begins annotations of a MailServer: accounts whose MailAccount is gone, and what its engine has still to do about them. */
export const LEFT_BEHIND = `${GROUP}/left-behind-`
/** On a MailServer with deletionPolicy Delete, and on every MailAccount that an engine was told of. */
export const FINALIZER = `${GROUP}/cleanup`

export const MANAGED_BY = 'mail-operator'
/** Field manager of what the operator applies; status has its own. */
export const FIELD_MANAGER = 'mail-operator'
export const STATUS_MANAGER = 'mail-operator-status'
