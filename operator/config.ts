/** What comes from the environment of the operator's process. */

export interface OperatorConfig {
  /** Empty: all namespaces. */
  namespaces: string[]
  engineImage: string | undefined
  /** 0: no health and metrics server. */
  healthPort: number
  leaderElection: {
    enabled: boolean
    namespace: string
    name: string
    leaseMs: number
    renewMs: number
    retryMs: number
  }
  identity: string
  logLevel: string
  resyncMs: number
  maxConcurrentUpgrades: number
  exclusiveDomains: boolean
}

/** Names every bad variable at once. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/**
 * | variable | meaning |
 * |---|---|
 * | `WATCH_NAMESPACES` | namespaces to watch, separated by commas; empty or unset: all |
 * | `ENGINE_IMAGE` | engine image of MailServers without spec.image; pinned in status when first used |
 * | `HEALTH_PORT` | /healthz, /readyz and /metrics; default 8081, 0 is off |
 * | `LEADER_ELECTION` | "false" for a process that runs alone; default true |
 * | `LEADER_ELECTION_NAMESPACE`, `LEADER_ELECTION_NAME` | the Lease; default POD_NAMESPACE (else default) and mail-operator |
 * | `LEADER_ELECTION_LEASE_SECONDS`, `_RENEW_SECONDS`, `_RETRY_SECONDS` | default 15, 10, 2 |
 * | `POD_NAME`, `POD_NAMESPACE` | by the downward API |
 * | `RESYNC_SECONDS` | every object is looked at again after this; default 600 |
 * | `MAX_CONCURRENT_UPGRADES` | MailServers whose engines may be upgraded at once; default 1 |
 * | `EXCLUSIVE_DOMAINS` | "true": a MailServer that asks for a domain of another one is not carried out; default false, it is told |
 * | `LOG_LEVEL` | default info |
 * | `KUBECONFIG` | outside of a cluster |
 *
 * @throws ConfigError
 */
export function readOperatorConfig(env: Record<string, string | undefined>, unique: string): OperatorConfig {
  const problems: string[] = []
  const number = (name: string, fallback: number, low: number, high: number): number => {
    const text = env[name]
    if (!text) return fallback
    const value = Number(text)
    if (Number.isFinite(value) && value >= low && value <= high) return value
    problems.push(`${name}: must be a number from ${low} to ${high}`)
    return fallback
  }
  const oneOf = (name: string, fallback: string, allowed: string[]): string => {
    const text = env[name] || fallback
    if (!allowed.includes(text)) problems.push(`${name}: must be one of ${allowed.join(', ')}`)
    return text
  }
  const podName = env.POD_NAME || env.HOSTNAME || 'mail-operator'
  const leaseMs = number('LEADER_ELECTION_LEASE_SECONDS', 15, 2, 600) * 1000
  const renewMs = number('LEADER_ELECTION_RENEW_SECONDS', 10, 1, 600) * 1000
  const retryMs = number('LEADER_ELECTION_RETRY_SECONDS', 2, 0.1, 600) * 1000
  if (leaseMs <= renewMs || renewMs <= retryMs * 1.2) {
    problems.push('LEADER_ELECTION_*_SECONDS: lease must be above renew, and renew above 1.2 times retry')
  }
  const config: OperatorConfig = {
    namespaces: (env.WATCH_NAMESPACES ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
    engineImage: env.ENGINE_IMAGE || undefined,
    healthPort: number('HEALTH_PORT', 8081, 0, 65535),
    leaderElection: {
      enabled: oneOf('LEADER_ELECTION', 'true', ['true', 'false']) === 'true',
      namespace: env.LEADER_ELECTION_NAMESPACE || env.POD_NAMESPACE || 'default',
      name: env.LEADER_ELECTION_NAME || 'mail-operator',
      leaseMs,
      renewMs,
      retryMs,
    },
    identity: `${podName}_${unique}`,
    logLevel: oneOf('LOG_LEVEL', 'info', ['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    resyncMs: number('RESYNC_SECONDS', 600, 5, 86_400) * 1000,
    exclusiveDomains: oneOf('EXCLUSIVE_DOMAINS', 'false', ['true', 'false']) === 'true',
    maxConcurrentUpgrades: Math.floor(number('MAX_CONCURRENT_UPGRADES', 1, 1, 10_000)),
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return config
}
