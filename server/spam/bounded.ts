/**
 * Runs synchronous work that may take for ever: expressions of JavaScript cannot be asked to stop, but V8 ends what runs
 * under a vm timeout, matching included.
 */
import { createContext, Script } from 'node:vm'

export class TimeBudgetSpent extends Error {
  override name = 'TimeBudgetSpent'
}

export type RunBounded = <T>(work: () => T, budgetMs: number) => T

/** @returns a runner that throws TimeBudgetSpent, and lets other errors through. About 0.1 ms a call. */
export function createBoundedRunner(): RunBounded {
  let current: () => unknown = () => undefined
  const context = createContext({ run: () => current() })
  const script = new Script('run()')
  return <T>(work: () => T, budgetMs: number): T => {
    let result: { value: T } | undefined
    current = () => {
      result = { value: work() }
    }
    try {
      script.runInContext(context, { timeout: budgetMs })
    } catch (error) {
      // thrown in the context's realm
      if (isTimeout(error)) throw new TimeBudgetSpent(`more than ${budgetMs} ms`)
      throw error
    } finally {
      current = () => undefined
    }
    if (!result) throw new Error('the work did not run')
    return result.value
  }
}

function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
}
