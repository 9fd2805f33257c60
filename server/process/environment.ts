/** The process's environment as config.ts describes it, and its place among the workers. */
import { availableParallelism, hostname } from 'node:os'
import { ConfigError, type EngineEnvironment, readEnvironment } from '../config.ts'

/** Names the variable by which the primary tells a worker its number. */
export const WORKER_VARIABLE = 'MAIL_WORKER_NUMBER'

/** @throws ConfigError listing every variable that is wrong */
export function processEnvironment(env: NodeJS.ProcessEnv): EngineEnvironment {
  return readEnvironment(env, { cores: availableParallelism(), hostname: hostname() })
}

/** @returns undefined after printing what is wrong: without these nothing can start */
export function environmentOrComplaint(env: NodeJS.ProcessEnv): EngineEnvironment | undefined {
  try {
    return processEnvironment(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${JSON.stringify({ level: 'fatal', component: 'environment', msg: error.message })}\n`)
    return undefined
  }
}
