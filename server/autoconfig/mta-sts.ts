/** The MTA-STS policy of our domains (RFC 8461 §3.2): that mail for them is delivered to us, under verified TLS. Pure. */
import type { EngineConfig } from '../config.ts'

/**
 * The policy file, the same for each domain. The operator's DNS record names a policy by hostname, mode and maximum age:
 * whatever else would come in here has to change that record's id too.
 */
export function mtaStsPolicy({ hostname, mtaSts }: Pick<EngineConfig, 'hostname' | 'mtaSts'>): string {
  const fields: [string, string | number][] = [
    ['version', 'STSv1'],
    ['mode', mtaSts.mode],
    ['mx', hostname],
    ['max_age', mtaSts.maxAgeSeconds],
  ]
  return fields.map(([key, value]) => `${key}: ${value}\r\n`).join('')
}
