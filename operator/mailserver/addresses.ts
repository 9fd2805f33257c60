/**
 * Where a MailServer is reached: by mail, which is where its host name leads, and by HTTP, where the names of its domains
 * lead. IP addresses or host names, sorted. Pure.
 */

import { isIP } from 'node:net'
import type { MailServerSpec } from '../api/mail-server-spec.ts'
import type { MailServerStatus } from '../api/mail-server-status.ts'
import { Ingress } from '../kube/resources.ts'
import type { KubeObject, ObjectKey } from '../kube/types.ts'
import { httpServiceName, mailServiceName } from './desired/names.ts'
import type { Gateway, GatewayView } from './gateways.ts'
import { idFor } from './kinds.ts'
import { isMailRoute, routeTrouble } from './routes.ts'

export interface Entrances {
  key: ObjectKey
  children: ReadonlyMap<string, KubeObject>
  /** The one that spec.gateway names. */
  gateway: GatewayView | undefined
  /** As the status has it: what cannot be seen for the moment is where it was. */
  told: Pick<MailServerStatus, 'addresses' | 'webAddresses'> | undefined
}

/**
 * Of the Gateway with spec.gateway.mail, else of the Service's load balancer. Where there are both, the host name leads to
 * the load balancer until the Gateway has taken up every route: on the way from one to the other it never leads nowhere.
 */
export function mailAddresses({ gateway: spec }: MailServerSpec, entrances: Entrances): string[] {
  const { key, children, gateway, told } = entrances
  const balancer = balancerAddresses(children.get(idFor({ kind: 'Service' }, mailServiceName(key.name))))
  if (!spec?.mail) return balancer
  if (isUnknown(gateway)) return told?.addresses?.length ? told.addresses : balancer
  const through = gatewayAddresses(gateway?.gateway)
  if (through.length === 0) return balancer
  const routes = [...children.values()].filter(isMailRoute)
  const led = routes.length > 0 && routes.every((route) => !routeTrouble(route))
  return led || balancer.length === 0 ? through : balancer
}

/** Of the Ingress, else of the Gateway; none where HTTP is answered at the host name or nowhere, and until they have any. */
export function webAddresses({ gateway: spec }: MailServerSpec, entrances: Entrances): string[] {
  const { key, children, gateway, told } = entrances
  const ingress = balancerAddresses(children.get(idFor(Ingress, httpServiceName(key.name))))
  if (ingress.length > 0 || !spec) return ingress
  return isUnknown(gateway) ? (told?.webAddresses ?? []) : gatewayAddresses(gateway?.gateway)
}

/** It cannot be seen and never was. */
const isUnknown = (view: GatewayView | undefined) => view?.unseen !== undefined && view.gateway === undefined

/** @param entry a Service or an Ingress */
function balancerAddresses(entry: KubeObject | undefined): string[] {
  const status = entry?.status as { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } } | undefined
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []).sort()
}

/** Those that DNS can lead to: other types than these two name things of one implementation (GatewayStatusAddress). */
export function gatewayAddresses(gateway: Gateway | undefined): string[] {
  const found = (gateway?.status.addresses ?? []).filter(
    ({ type = 'IPAddress', value }) => (type === 'IPAddress' && isIP(value) !== 0) || type === 'Hostname',
  )
  return [...new Set(found.map(({ value }) => value))].sort()
}
