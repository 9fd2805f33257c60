/**
 * Which MailServer has which name in DNS: kept by watch, asked without a search. Two of one name would publish records
 * that contradict each other and get each half of the mail; and where namespaces are tenants, nobody may have records,
 * certificates and routes made for what is another one's. Names are compared as they stand: the API takes lower-case
 * A-labels without a trailing dot and nothing else (domainName in ../api/fields.ts).
 */

import type { MailServer } from '../api/mail-server.ts'

import { keyOf } from '../kube/resources.ts'
import { type Change, keyText, type ObjectKey } from '../kube/types.ts'

/** A name of a MailServer's spec that another one has. */
export interface TakenName {
  /** "spec.domains[1].name". */
  field: string
  /** The host name, the domain, or a web name of the domain. */
  name: string
  holder: ObjectKey
}

export interface DomainIndex {
  /** A spec that asks for a name of another MailServer is not to be carried out. */
  readonly exclusive: boolean
  /**
   * Takes in what a MailServer asks for and has. What it had and has let go of is free from here on.
   * @returns the MailServers to look at: all that ask for a name which has passed from one to another
   */
  file(change: Change<MailServer>): ObjectKey[]
  /** One for each field of the spec, in its order; none when all names are free or its own. */
  taken(server: MailServer): TakenName[]
  /** From now on it has the names of its spec, which is about to be carried out. */
  hold(server: MailServer): void
}

interface Claim {
  server: ObjectKey
  /** The lesser one has the name. */
  rank: string
}

/** @param options.exclusive who had a name first keeps it; else the older MailServer is the one whose name it is */
export function createDomainIndex({ exclusive }: { exclusive: boolean }): DomainIndex {
  /** By "namespace/name", then by name in DNS. */
  const byServer = new Map<string, Map<string, Claim>>()
  /** By name in DNS; its claims by "namespace/name". */
  const byName = new Map<string, { claims: Map<string, Claim>; holder: Claim }>()
  /** By "namespace/name": what has been carried out since the process began, or is on its way. */
  const held = new Map<string, { uid: string | undefined; names: string[] }>()

  const holderOf = (name: string) => byName.get(name)?.holder

  /** Only when the holder lets go is the next one looked for among all: a thousand may want one name. */
  function put(name: string, id: string, claim: Claim | undefined): void {
    const entry = byName.get(name)
    if (!entry) {
      if (claim) byName.set(name, { claims: new Map([[id, claim]]), holder: claim })
      return
    }
    const { claims, holder } = entry
    const wasHolder = claims.get(id) === holder
    if (claim) claims.set(id, claim)
    else claims.delete(id)
    if (claim && claim.rank <= holder.rank) entry.holder = claim
    else if (wasHolder) {
      const [first, ...others] = claims.values()
      if (first) entry.holder = others.reduce((least, other) => (other.rank < least.rank ? other : least), first)
      else byName.delete(name)
    }
  }

  /**
   * What somebody has goes before what a spec asks for: else whoever has the older MailServer could take a domain from the
   * one that serves it. Among equals, and where both are let have it, the older one goes first.
   */
  function claimOf(server: MailServer, what: 'had' | 'asked'): Claim {
    const { creationTimestamp = '', uid = '' } = server.metadata
    return { server: keyOf(server), rank: `${exclusive && what === 'asked' ? 1 : 0} ${creationTimestamp} ${uid}` }
  }

  function claimsOf(server: MailServer): Map<string, Claim> {
    const { uid, deletionTimestamp } = server.metadata
    const mine = held.get(idOf(server))
    const [asked, had] = [claimOf(server, 'asked'), claimOf(server, 'had')]
    const claims = new Map<string, Claim>()
    if (!deletionTimestamp) for (const { names } of fieldsOf(server)) for (const name of names) claims.set(name, asked)
    if (mine && mine.uid === uid) for (const name of mine.names) claims.set(name, had)
    for (const name of namesInStatus(server)) claims.set(name, had)
    return claims
  }

  return {
    exclusive,

    file({ type, object, previous }) {
      if (previous === object) return [] // told again, nothing is new
      const id = idOf(object)
      if (type === 'deleted') held.delete(id)
      const before = byServer.get(id)
      const after = type === 'set' ? claimsOf(object) : new Map<string, Claim>()
      if (after.size > 0) byServer.set(id, after)
      else byServer.delete(id)
      const concerned = new Map<string, ObjectKey>()
      for (const name of new Set([...(before?.keys() ?? []), ...after.keys()])) {
        if (before?.get(name)?.rank === after.get(name)?.rank) continue
        const last = holderOf(name)
        put(name, id, after.get(name))
        const next = holderOf(name)
        if (!last || !next || keyText(last.server) === keyText(next.server)) continue
        for (const [text, { server }] of byName.get(name)?.claims ?? []) concerned.set(text, server)
      }
      return [...concerned.values()]
    },

    taken(server) {
      const own = idOf(server)
      return fieldsOf(server).flatMap(({ field, names }) => {
        for (const name of names) {
          const holder = holderOf(name)?.server
          if (holder && keyText(holder) !== own) return [{ field, name, holder }]
        }
        return []
      })
    },

    hold(server) {
      const id = idOf(server)
      const names = fieldsOf(server).flatMap((field) => field.names)
      held.set(id, { uid: server.metadata.uid, names })
      // Beside what it had until now: that is let go of when the status, which is written last, no longer has it.
      const claims = byServer.get(id) ?? new Map<string, Claim>()
      byServer.set(id, claims)
      const claim = claimOf(server, 'had')
      for (const name of names) {
        claims.set(name, claim)
        put(name, id, claim)
      }
    },
  }
}

const idOf = (server: MailServer) => keyText(keyOf(server))

/** Names that a spec asks for, by the fields that do. */
function fieldsOf({ spec }: MailServer): { field: string; names: string[] }[] {
  return [
    { field: 'spec.hostname', names: [spec.hostname] },
    ...spec.domains.map(({ name }, index) => ({ field: `spec.domains[${index}].name`, names: namesOf(name) })),
  ]
}

/** What there is by the status, which only the operator writes: it outlives the process. */
function namesInStatus({ status }: MailServer): string[] {
  const host = status?.endpoints?.smtp?.split(':')[0]
  const domains = new Set((status?.dkim?.keys ?? []).map(({ domain }) => domain))
  return [...(host ? [host] : []), ...[...domains].flatMap(namesOf)]
}

/** A domain, and the names below it for which there are certificates and routes: publicNames (desired/certificate-groups.ts). */
const namesOf = (domain: string) => [domain, ...WEB_LABELS.map((label) => `${label}.${domain}`)]
const WEB_LABELS = ['mta-sts', 'autoconfig', 'autodiscover']

/** What the status says of them. Who is of another namespace is not named: tenants do not learn of one another. */
export function takenText(taken: readonly TakenName[], namespace: string): string {
  const told = taken.slice(0, TOLD).map(({ field, name, holder }) => {
    const whose = holder.namespace === namespace ? `MailServer ${holder.name}` : 'a MailServer of another namespace'
    return `${field}: ${name} belongs to ${whose}`
  })
  const more = taken.length > TOLD ? `; and ${taken.length - TOLD} more` : ''
  return `${told.join('; ')}${more}`
}
/** A condition's message is for reading. */
const TOLD = 5
