/**
 * Asks, before an upgrade, whether this version could take over from the engines that run now. The operator runs it as a
 * Job with the new image and the engine's own environment and volumes. It reads and never writes. Its exit code is the answer:
 *
 * | code | meaning |
 * |---|---|
 * | 0 | the configuration is understood, and the database has no schema migration that this version does not know |
 * | 64 | this would go back: the database has migrations that this version does not know, or knows as something else |
 * | 65 | the configuration is not understood |
 * | 75 | not to be told now: the environment is incomplete, or Postgres was away for as long as `--wait-seconds` (60) |
 *
 * The reason is one log line, and in words in the termination log (`MAIL_TERMINATION_LOG`, default /dev/termination-log).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigError, type EngineEnvironment, parseEngineConfig } from './config.ts'
import type { AppliedMigration, SchemaDifference } from './db/migrations.ts'
import { schemaDifference } from './db/schema-difference.ts'
import { processEnvironment } from './process/environment.ts'
import { keepTrying } from './process/keep-trying.ts'
import { createLogger } from './process/logger.ts'
import { listenForStop } from './process/stop-signal.ts'
import { writeTerminationLog } from './process/termination-log.ts'

const FITS = 0
const GOES_BACK = 64
const NOT_UNDERSTOOD = 65
const UNAVAILABLE = 75 // EX_TEMPFAIL

const DEFAULT_WAIT_SECONDS = 60

interface Verdict {
  exitCode: number
  /** Read by people, in a Pod's status too: names of fields and migrations, no value of either. */
  text: string
}

if (import.meta.main) process.exit(await main(process.env, process.argv.slice(2)))

/** @returns the process's exit code */
async function main(env: NodeJS.ProcessEnv, args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { 'wait-seconds': { type: 'string' } } })
  const waitMs = Number(values['wait-seconds'] ?? DEFAULT_WAIT_SECONDS) * 1000
  const log = createLogger({ level: 'info', pod: env.POD_NAME ?? '' }).child({ component: 'preflight' })
  const stop = listenForStop(log)
  const { exitCode, text } = await judge(env, AbortSignal.any([stop.signal, AbortSignal.timeout(waitMs)]))
  log[exitCode === FITS ? 'info' : 'error']({ exitCode }, text)
  await writeTerminationLog(env.MAIL_TERMINATION_LOG || '/dev/termination-log', text)
  return exitCode
}

async function judge(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Verdict> {
  let environment: EngineEnvironment
  try {
    environment = processEnvironment(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { exitCode: UNAVAILABLE, text: `The environment is incomplete: ${error.message}` }
  }
  return (await judgeConfiguration(environment)) ?? (await judgeSchema(environment, signal))
}

/** @returns undefined when nothing is wrong with it */
async function judgeConfiguration({ rootDirectory }: EngineEnvironment): Promise<Verdict | undefined> {
  let text: string
  try {
    text = await readFile(join(rootDirectory, 'config/config.json'), 'utf8')
  } catch (error) {
    return { exitCode: UNAVAILABLE, text: `The environment is incomplete: ${messageOf(error)}` }
  }
  try {
    parseEngineConfig(JSON.parse(text))
    return undefined
  } catch (error) {
    return {
      exitCode: NOT_UNDERSTOOD,
      text: `The configuration is not understood by this version:\n${messageOf(error)}`,
    }
  }
}

async function judgeSchema({ databaseUrl }: EngineEnvironment, signal: AbortSignal): Promise<Verdict> {
  let reason = 'no answer'
  const look = () => schemaDifference({ url: databaseUrl, applicationName: 'mail-engine-preflight' })
  // Every failure is worth another try: a CA that is still to be mounted is no less temporary than a failover.
  const onFailure = (error: unknown) => {
    reason = messageOf(error)
  }
  try {
    return schemaVerdict(await keepTrying(look, { signal, onFailure }))
  } catch (error) {
    if (!signal.aborted) throw error
    return { exitCode: UNAVAILABLE, text: `The database could not be looked at in time: ${reason}` }
  }
}

function schemaVerdict({ missing, unknown, changed }: SchemaDifference): Verdict {
  const problems: string[] = []
  if (unknown.length > 0) {
    problems.push(
      `The database has schema migrations that this version does not know: ${names(unknown)}. This would go back across them; use an image that knows them, or restore a database from before.`,
    )
  }
  if (changed.length > 0) {
    problems.push(
      `Schema migrations of the database are not the ones this version knows by that name: ${names(changed)}.`,
    )
  }
  if (problems.length > 0) return { exitCode: GOES_BACK, text: problems.join('\n') }
  const next =
    missing.length === 0
      ? 'The schema stays as it is.'
      : `Schema migrations that its first start applies: ${names(missing)}.`
  return { exitCode: FITS, text: `This version can take over. ${next}` }
}

function names(migrations: readonly AppliedMigration[]): string {
  return migrations.map(({ name }) => name).join(', ')
}

/** Never the error itself: some carry the database's URL, password and all. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
