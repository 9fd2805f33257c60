import { z } from 'zod'
import { CORE } from '../capabilities.ts'
import { argumentsOf, type Method } from '../method.ts'

/** Core/echo. RFC 8620 §4. */
export const coreEcho: Method<Record<string, unknown>, Record<string, unknown>> = {
  capability: CORE,
  parse: argumentsOf(z.record(z.string(), z.unknown())),
  run: async (args) => args,
}
