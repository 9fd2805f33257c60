/** The engine's config.json (server/config.ts is the contract) and the ConfigMap that carries it. */

import type { EngineConfigInput } from '../../../server/config.ts'
import { durationMs } from '../../api/duration.ts'
import { MTA_STS_MAX_AGE_SECONDS } from '../../dns/records.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type DesiredContext, objectOf } from './context.ts'
import { HTTPS_PORT } from './engine-ports.ts'
import { configName, dkimFileName, FURTHER_TLS, furtherTlsFile } from './names.ts'

/** None while the storage endpoint is not known: the engine must never start with the wrong store. */
export function engineConfigMap(context: DesiredContext): KubeObject | undefined {
  const config = engineConfig(context)
  if (!config) return undefined
  return objectOf(context, 'v1', 'ConfigMap', configName(context.server.name), {
    data: { 'config.json': `${JSON.stringify(config, null, 2)}\n` },
  })
}

export function engineConfig(context: DesiredContext): EngineConfigInput | undefined {
  const { spec, facts } = context
  const storage = engineStorage(context)
  if (!storage) return undefined
  const trustedNetworks = spec.service.proxyProtocol?.trustedNetworks ?? []
  return {
    hostname: spec.hostname,
    domains: spec.domains.map((domain) => ({
      name: domain.name,
      dkim: facts.dkimKeys
        .filter((key) => key.domain === domain.name && key.state === 'Active')
        .map((key) => ({
          selector: key.selector,
          algorithm: key.algorithm === 'rsa2048' ? ('rsa-sha256' as const) : ('ed25519-sha256' as const),
          keyFile: `dkim/${dkimFileName(key.domain, key.selector)}`,
        })),
      ...(domain.catchAll === undefined ? {} : { catchAll: domain.catchAll }),
    })),
    storage,
    ...(spec.service.https ? { listeners: { https: HTTPS_PORT } } : {}),
    ...engineTls(context),
    proxyProtocol: { trustedNetworks },
    dnsServers: spec.dns.resolvers,
    mtaSts: { mode: spec.dns.mtaSts, maxAgeSeconds: MTA_STS_MAX_AGE_SECONDS },
    limits: definedOnly(spec.limits),
    spam: engineSpam(spec.spam),
    outbound: engineOutbound(spec.outbound),
    logLevel: spec.logLevel,
  }
}

/** Only where there is more than one: engines that do not know the field leave it out. */
function engineTls({ facts }: DesiredContext): Pick<EngineConfigInput, 'tls'> {
  const [, ...further] = facts.certificates
  if (further.length === 0) return {}
  const additional = further.map(({ number }) => ({
    certFile: `${FURTHER_TLS}/${furtherTlsFile(number, 'tls.crt')}`,
    keyFile: `${FURTHER_TLS}/${furtherTlsFile(number, 'tls.key')}`,
  }))
  return { tls: { additional } }
}

/** What cannot be changed under a running engine: a change of it rolls the Pods. */
export function engineStorage({ spec, facts }: DesiredContext): EngineConfigInput['storage'] | undefined {
  const { s3 } = spec.storage
  if (!s3) return { driver: 'postgres' }
  const endpoint = s3.endpoint ?? facts.s3Endpoint
  if (endpoint === undefined) return undefined
  return {
    driver: 's3',
    endpoint: endpoint.replace(/\/$/, ''),
    region: s3.region,
    bucket: s3.bucket,
    pathStyle: s3.pathStyle,
    prefix: s3.prefix,
    credentialsDir: 's3',
    inlineMaxBytes: s3.inlineMaxBytes,
    ...(s3.caSecretRef ? { caFile: 's3-ca/ca.crt' } : {}),
  }
}

function engineSpam(spam: DesiredContext['spec']['spam']): EngineConfigInput['spam'] {
  const { enabled, delay, retryWindow, passFor } = spam.greylisting
  return {
    enabled: spam.enabled,
    requiredScore: spam.requiredScore,
    rejectScore: spam.rejectScore,
    rules: spam.rules,
    dnsbl: spam.dnsbl,
    greylisting: {
      enabled,
      delayMs: milliseconds(delay),
      retryWindowMs: milliseconds(retryWindow),
      passForMs: milliseconds(passFor),
    },
    rateLimit: spam.rateLimit,
  }
}

function engineOutbound(outbound: DesiredContext['spec']['outbound']): EngineConfigInput['outbound'] {
  const { relay } = outbound
  return {
    ...(relay
      ? {
          relay: {
            host: relay.host,
            port: relay.port,
            tls: relay.tls,
            ...(relay.credentialsSecretRef ? { credentialsDir: 'relay' } : {}),
          },
        }
      : {}),
    mxPort: outbound.mxPort,
    concurrency: outbound.concurrency,
    retryDelaysMs: outbound.retryDelays.map(milliseconds),
    expireMs: milliseconds(outbound.expire),
    allowPrivateAddresses: outbound.allowPrivateAddresses,
  }
}

/** The schema has checked the syntax. */
function milliseconds(duration: string): number {
  const ms = durationMs(duration)
  if (ms === undefined) throw new RangeError(`not a duration: ${duration}`)
  return ms
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function definedOnly<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>
}
