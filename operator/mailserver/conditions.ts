/**
 * From what is said of each dependency to the conditions of a MailServer (kstatus: Ready, Reconciling, Stalled; the
 * last two only while true). Pure. Names are API; docs and alerts rely on them.
 */

import { pollMs } from '../kube/backoff.ts'
import { findCondition, removeCondition, setCondition } from '../kube/conditions.ts'
import { FAILED, failingSince } from '../kube/failing.ts'
import type { Condition } from '../kube/types.ts'
import { MINUTE_MS, SCALED_TO_ZERO, type Statement, WARNINGS } from './dependencies/statement.ts'

/** What may be wrong without the server being unready; so may what a reason among WARNINGS tells. */
const ADVISORY: readonly string[] = ['DNSReady', 'BackupReady', 'RoutesReady', 'MonitoringReady']
/** What has been waited for for half an hour is looked at so often. */
const MAX_POLL_MS = 5 * MINUTE_MS
const SUMMARY: readonly string[] = ['Ready', 'Stalled', 'Reconciling']

export interface Judgement {
  conditions: Condition[]
  /** When something has to be looked at again without an event; undefined when an event will tell. */
  lookAgainMs: number | undefined
}

export interface Trouble {
  /** CamelCase: InvalidSpec, ApplyRefused. */
  reason: string
  message: string
}

export interface JudgementInput {
  generation: number
  previous: readonly Condition[] | undefined
  statements: readonly Statement[]
  /** Why nothing will get better by itself, beyond what statements say. */
  trouble?: Trouble | undefined
  /** What is still on its way although nothing is wrong: a rollout. */
  progress?: string | undefined
  /** What went wrong in this try and may go right in the next one. Without statements it went wrong before a look. */
  failure?: string | undefined
  /** What is said of a pause, while there is one. */
  paused?: string | undefined
  now: Date
}

export function judge(input: JudgementInput): Judgement {
  const { generation, previous, statements, trouble, progress, paused, now } = input
  const failing = input.failure === undefined ? undefined : failingSince(input.failure, input)
  // What is no longer asked for has no condition; with a spec that cannot be read nothing new is known.
  const current = (type: string) => SUMMARY.includes(type) || statements.some((statement) => statement.type === type)
  let conditions = (previous ?? []).filter(({ type }) => statements.length === 0 || current(type))
  const set = (type: string, status: Condition['status'], reason: string, message: string) => {
    conditions = setCondition(conditions, { type, status, reason, message, observedGeneration: generation }, now)
  }
  const looks: number[] = []
  const stalls: Trouble[] = trouble ? [trouble] : []
  for (const statement of statements) {
    const { type, status, reason, message } = statement
    set(type, status, reason, message)
    if (statement.pollMs !== undefined) {
      const since = Date.parse(findCondition(conditions, type)?.lastTransitionTime ?? '')
      const waited = pollMs(+now - since, { baseMs: statement.pollMs, maxMs: MAX_POLL_MS })
      looks.push(status === 'True' ? statement.pollMs : waited)
    }
    if (statement.terminal) stalls.push({ reason, message })
    else if (status === 'False' && statement.deadlineMs !== undefined) {
      const changed = findCondition(conditions, type)?.lastTransitionTime ?? ''
      const since = Date.parse(statement.since ?? '') > Date.parse(changed) ? (statement.since ?? '') : changed
      const left = Date.parse(since) + statement.deadlineMs - +now
      if (left > 0) looks.push(left)
      else stalls.push({ reason: 'DeadlineExceeded', message: `${type} since ${since}: ${message}` })
    }
  }
  if (failing?.overdue) stalls.push({ reason: FAILED, message: failing.message })
  const blocking = statements.filter(
    ({ type, status, reason }) => status !== 'True' && !ADVISORY.includes(type) && !WARNINGS.includes(reason),
  )
  const [stalled] = stalls
  const [first] = blocking

  const butPaused = paused ? `. ${paused}` : ''
  const engine = statements.find(({ type }) => type === 'EngineAvailable')
  const warning = statements.find(({ reason }) => WARNINGS.includes(reason))
  if (trouble) set('Ready', 'False', trouble.reason, `${trouble.message}${butPaused}`)
  else if (failing && statements.length === 0) {
    // Nothing new is known: what was true of the service still is.
    const known = findCondition(previous, 'Ready')
    if (!known || known.status === 'Unknown' || known.reason === FAILED) set('Ready', 'False', FAILED, failing.message)
  } else if (first) set('Ready', 'False', first.reason, `${first.type}: ${first.message}${butPaused}`)
  else if (paused) set('Ready', 'True', 'Paused', paused)
  else if (engine?.reason === SCALED_TO_ZERO) set('Ready', 'True', engine.reason, engine.message)
  // Where people look: what waits for others has its own columns in kubectl get, what waits for a person has none.
  else if (warning) set('Ready', 'True', warning.reason, `${warning.type}: ${warning.message}`)
  else set('Ready', 'True', 'Running', 'All dependencies are ready and the engine answers')

  if (stalled) set('Stalled', 'True', stalled.reason, stalled.message)
  else conditions = removeCondition(conditions, 'Stalled')

  const going = first ? `Waiting for ${blocking.map(({ type }) => type).join(', ')}` : progress
  if (!stalled && failing) {
    // Another reason begins its own time: the deadline counts from here.
    if (!failing.known) conditions = removeCondition(conditions, 'Reconciling')
    set('Reconciling', 'True', FAILED, failing.message)
  } else if (!stalled && !paused && going) set('Reconciling', 'True', 'Progressing', going)
  else conditions = removeCondition(conditions, 'Reconciling')

  return { conditions: sortedConditions(conditions), lookAgainMs: looks.length > 0 ? Math.min(...looks) : undefined }
}

/** Ready first, as people read it. */
export function sortedConditions(conditions: Condition[]): Condition[] {
  const rank = (type: string) => SUMMARY.indexOf(type)
  const weight = (type: string) => (rank(type) === -1 ? 9 : rank(type))
  return conditions.toSorted((a, b) => weight(a.type) - weight(b.type) || (a.type < b.type ? -1 : 1))
}
