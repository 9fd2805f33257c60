/**
 * Whose an object is that has a name of ours. Server-side apply would take over a Service or Secret that somebody else
 * made, and our deletion would take it along: what is not this MailServer's is never written to. Pure.
 */

import { APPLIED_HASH, SERVER_LABEL } from '../api/group.ts'
import type { KubeObject } from '../kube/types.ts'
import type { DesiredContext } from './desired/context.ts'
import { AUTHORITY_COMPONENT, DKIM_COMPONENT } from './desired/secrets.ts'
import { idOf } from './kinds.ts'

/** A name that an object of the MailServer must have belongs to an object of somebody else. */
export class NameTaken extends Error {
  override name = 'NameTaken'
  /** "Service/stalwart". */
  readonly id: string

  constructor(object: KubeObject, server: string) {
    const owner = object.metadata.labels?.[SERVER_LABEL]
    const whose = owner === undefined ? 'was not made for it' : `is of MailServer ${owner}`
    super(
      `${idOf(object)} has a name that MailServer ${server} needs, and ${whose}: rename or delete it, ` +
        `or hand it over with the label ${SERVER_LABEL}=${server}`,
    )
    this.id = idOf(object)
  }
}

/**
 * True when it was made for this MailServer or handed over to it. The label decides; an object that lost it is known by
 * its owner, retained data by the hash of what was applied.
 */
export function belongsTo({ name, uid }: DesiredContext['server'], { metadata }: KubeObject): boolean {
  const label = metadata.labels?.[SERVER_LABEL]
  if (label !== undefined) return label === name
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true)
  return controller ? controller.uid === uid : metadata.annotations?.[APPLIED_HASH] !== undefined
}

/** Mail, and keys that the world knows: only with the MailServer, by the garbage collector, and never by a changed spec. */
export function isData({ kind, metadata }: KubeObject): boolean {
  const component = metadata.labels?.['app.kubernetes.io/name'] ?? ''
  if (kind === 'Secret') return component === DKIM_COMPONENT || component === AUTHORITY_COMPONENT
  return kind === 'Cluster' || kind === 'ObjectStore'
}
