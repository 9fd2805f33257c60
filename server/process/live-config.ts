/**
 * The configuration file, read again when it changes. Parts get `view`, whose fields always show the newest valid document,
 * so a domain or a limit takes effect without a restart. What cannot change under running parts is in `FIXED`.
 */
import { readFile } from 'node:fs/promises'
import type { Logger } from 'pino'
import { Gauge, type Registry } from 'prom-client'
import { type EngineConfig, engineConfigSchema, type Limits, parseNewerConfig } from '../config.ts'
import { watchFiles } from './watched-files.ts'

/** Fields that parts read once, when they start. */
const FIXED = ['listeners', 'storage', 'logLevel'] as const satisfies (keyof EngineConfig)[]

export interface LiveConfig extends Disposable {
  /** undefined until the file was valid once. */
  current(): EngineConfig | undefined
  /** Why the file as it is now is not in use. */
  problem(): string | undefined
  /** Runs after every valid change. @returns stops it */
  onChange(listener: (config: EngineConfig) => void): () => void
  /** The newest valid configuration, field by field. @throws Error on reading a field before there was one */
  view: EngineConfig
  /** The same for the limits alone. */
  limits: Limits
}

export interface LiveConfigOptions {
  file: string
  log: Logger
  registry: Registry
  intervalMs?: number
}

/** Starts watching; resolves after the first look, whatever that found. */
export async function watchConfig({ file, log, registry, intervalMs }: LiveConfigOptions): Promise<LiveConfig> {
  const valid = new Gauge({
    name: 'mail_config_valid',
    help: '1 when the configuration file is the one in use, 0 when it is invalid and the one before is kept',
    aggregator: 'min',
    registers: [registry],
  })
  const ignored = new Gauge({
    name: 'mail_config_ignored_fields',
    help: 'Fields of the configuration in use that this version of the engine does not know and leaves out',
    aggregator: 'max',
    registers: [registry],
  })
  const listeners = new Set<(config: EngineConfig) => void>()
  let current: EngineConfig | undefined
  let problem: string | undefined

  const load = async () => {
    try {
      const { config: next, unknownFields } = parseNewerConfig(JSON.parse(await readFile(file, 'utf8')))
      problem = undefined
      valid.set(1)
      ignored.set(unknownFields.length)
      if (unknownFields.length > 0) log.warn({ file, fields: unknownFields }, 'unknown configuration left out')
      if (current) warnAboutFixed(current, next, log)
      current = next
      log.info({ file, domains: next.domains.length }, 'configuration loaded')
      for (const listener of listeners) listener(next)
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
      valid.set(0)
      log.error({ file, reason: problem, kept: current !== undefined }, 'configuration not usable')
    }
  }
  const newest = () => {
    if (!current) throw new Error(`no valid configuration yet: ${problem}`)
    return current
  }
  const stop = await watchFiles({
    paths: () => [file],
    read: load,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  return {
    current: () => current,
    problem: () => problem,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    view: liveView(Object.keys(engineConfigSchema.shape), newest),
    limits: liveView(Object.keys(engineConfigSchema.shape.limits.unwrap().shape), () => newest().limits),
    [Symbol.dispose]: stop,
  }
}

/** An object whose fields are read from `current` at each access. */
export function liveView<T extends object>(fields: readonly string[], current: () => T): T {
  const view = {}
  for (const field of fields) {
    Object.defineProperty(view, field, { enumerable: true, get: () => Reflect.get(current(), field) })
  }
  return view as T
}

function warnAboutFixed(before: EngineConfig, after: EngineConfig, log: Logger): void {
  for (const field of FIXED) {
    if (JSON.stringify(before[field]) !== JSON.stringify(after[field])) {
      log.warn({ field }, 'this part of the configuration takes effect at the next start')
    }
  }
}
