/**
 * What the engine would refuse of the configuration that a MailServer comes to. The schema of the spec is as strict as
 * the engine's in all that is known; this is for the rest and for what does not come from the spec: an engine with a
 * configuration that it cannot read keeps the last one, and a new Pod of it never becomes ready. Pure.
 */

import { z } from 'zod'
import { engineConfigSchema } from '../../server/config.ts'
import type { DesiredContext } from './desired/context.ts'
import { engineConfig } from './desired/engine-config.ts'

type Path = readonly PropertyKey[]

/**
 * Half a millisecond for a usual server, two for one with 200 domains: so it is asked at every reconcile.
 * @returns every refused field by its name in the spec; undefined when the engine understands all of it
 */
export function configProblem(context: DesiredContext): string | undefined {
  const config = engineConfig(context)
  if (!config) return undefined
  const result = engineConfigSchema.safeParse(config)
  if (result.success) return undefined
  return result.error.issues.map(({ path, message }) => `${specField(path)}: ${message}`).join('; ')
}

/** Where engine and spec call a field differently, by the beginning of the engine's path. */
const NAMES: readonly [engine: Path, spec: Path][] = [
  [['storage'], ['storage', 's3']],
  [['proxyProtocol'], ['service', 'proxyProtocol']],
  [['dnsServers'], ['dns', 'resolvers']],
  [
    ['mtaSts', 'mode'],
    ['dns', 'mtaSts'],
  ],
]

/** "outbound.retryDelaysMs[0]" is spec.outbound.retryDelays[0]. */
function specField(path: Path): string {
  const [engine, spec] = NAMES.find(([prefix]) => prefix.every((part, at) => part === path[at])) ?? [[], []]
  const parts = [...spec, ...path.slice(engine.length)]
  return `spec.${z.core.toDotPath(parts.map((part) => (typeof part === 'string' ? part.replace(/Ms$/, '') : part)))}`
}
