/**
 * From what is said of each dependency to the conditions of a MailServer (kstatus: Ready, Reconciling, Stalled; the
 * last two only while true). Pure. Names are API; docs and alerts rely on them.
 */

import { removeCondition, setCondition } from '../kube/conditions.ts'
import type { Condition } from '../kube/types.ts'
import type { Statement } from './dependencies/statement.ts'

/** What may be wrong without the server being unready. */
const ADVISORY: readonly string[] = ['DNSReady', 'BackupReady', 'RoutesReady', 'MonitoringReady']
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
  paused?: boolean
  now: Date
}

export function judge(input: JudgementInput): Judgement {
  const { generation, previous, statements, trouble, progress, paused, now } = input
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
    if (statement.pollMs !== undefined) looks.push(statement.pollMs)
    if (statement.terminal) stalls.push({ reason, message })
    else if (status === 'False' && statement.deadlineMs !== undefined) {
      const since = conditions.find((condition) => condition.type === type)?.lastTransitionTime ?? ''
      const left = Date.parse(since) + statement.deadlineMs - +now
      if (left > 0) looks.push(left)
      else stalls.push({ reason: 'DeadlineExceeded', message: `${type} since ${since}: ${message}` })
    }
  }
  const blocking = statements.filter(({ type, status }) => status !== 'True' && !ADVISORY.includes(type))
  const [stalled] = stalls
  const [first] = blocking

  if (trouble) set('Ready', 'False', trouble.reason, trouble.message)
  else if (first) set('Ready', 'False', first.reason, `${first.type}: ${first.message}`)
  else if (paused) set('Ready', 'True', 'Paused', 'Annotation mail.openova.io/paused: the operator changes nothing')
  else set('Ready', 'True', 'Running', 'All dependencies are ready and the engine answers')

  if (stalled) set('Stalled', 'True', stalled.reason, stalled.message)
  else conditions = removeCondition(conditions, 'Stalled')

  const going = first ? `Waiting for ${blocking.map(({ type }) => type).join(', ')}` : progress
  if (!stalled && !paused && going) set('Reconciling', 'True', 'Progressing', going)
  else conditions = removeCondition(conditions, 'Reconciling')

  return { conditions: sortedConditions(conditions), lookAgainMs: looks.length > 0 ? Math.min(...looks) : undefined }
}

/** Ready first, as people read it. */
export function sortedConditions(conditions: Condition[]): Condition[] {
  const rank = (type: string) => SUMMARY.indexOf(type)
  const weight = (type: string) => (rank(type) === -1 ? 9 : rank(type))
  return conditions.toSorted((a, b) => weight(a.type) - weight(b.type) || (a.type < b.type ? -1 : 1))
}
