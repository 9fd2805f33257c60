/** RoutesReady: whether the Gateway that spec.gateway names leads mail and HTTP here. */

import type { MailServerSpec } from '../../api/mail-server-spec.ts'
import { findCondition } from '../../kube/conditions.ts'
import { type Condition, keyText } from '../../kube/types.ts'
import { gatewayAddresses } from '../addresses.ts'
import type { GatewayView } from '../gateways.ts'
import type { Observed } from '../observe.ts'
import { isRoute, parentOf, routeTrouble } from '../routes.ts'
import { MINUTE_MS, ok, type Statement } from './statement.ts'

/** From what nothing works without to what comes last. A Gateway and its routes are watched, so an event tells of each step. */
export function routesStatement(view: GatewayView, spec: MailServerSpec, { children }: Observed): Statement {
  const named = `Gateway ${keyText(view.key)}`
  const { gateway, unseen } = view
  if (unseen) return { ...off(unseen.reason, unseen.message), pollMs: MINUTE_MS }
  if (!gateway) return off('GatewayMissing', `${named} does not exist`)
  const { conditions, listeners: told } = gateway.status
  const trouble = (type: string, of: readonly Condition[] | undefined) => {
    const found = findCondition(of, type)
    return found && found.status !== 'True' ? `${found.message || found.reason}` : undefined
  }
  const refused = trouble('Accepted', conditions)
  if (refused) return off('GatewayNotAccepted', `${named} is not accepted: ${refused}`)
  const routes = [...children.values()].filter(isRoute)
  const sections = [...new Set(routes.flatMap((route) => parentOf(route)?.sectionName ?? []))].sort()
  const missing = sections.filter((section) => !gateway.spec.listeners.some(({ name }) => name === section))
  if (missing.length > 0) return off('ListenerMissing', `${named} has no listener ${missing.join(', ')}`)
  for (const section of sections) {
    const why = trouble('Programmed', told.find(({ name }) => name === section)?.conditions)
    if (why) return off('ListenerNotProgrammed', `${named}: listener ${section} is not programmed: ${why}`)
  }
  for (const route of routes) {
    const found = routeTrouble(route)
    if (found) return off(found.reason, `${route.kind} ${route.metadata.name}: ${found.message}`)
  }
  const idle = trouble('Programmed', conditions)
  if (idle) return off('GatewayNotProgrammed', `${named} is not programmed: ${idle}`)
  const addresses = gatewayAddresses(gateway)
  if (addresses.length === 0) return off('AddressPending', `${named} has no address yet`)
  const by = spec.gateway?.mail ? 'mail and HTTP' : 'HTTP'
  return ok(
    'RoutesReady',
    'Accepted',
    `${routes.length} routes are accepted; ${named} leads ${by} here by ${addresses.join(', ')}`,
  )
}

/** Without a deadline: whose Gateway it is may take a year. */
const off = (reason: string, message: string): Statement => ({ type: 'RoutesReady', status: 'False', reason, message })
