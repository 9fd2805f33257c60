/** A worker's side of the channel to its primary; in the only process of a pod there is none. */
import type { Registry } from 'prom-client'
import type { FromPrimary, FromWorker } from './messages.ts'
import type { StopSignal } from './stop-signal.ts'

const METRICS_MS = 5_000

export interface WorkerChannel {
  /** Prometheus text of the whole pod. */
  metrics(): Promise<string>
  /** Tells the primary that this worker serves. */
  serving(): void
  /** True once every worker of the pod has served. */
  allServing(): boolean
}

/** Answers the primary, and ends this process when the primary is gone: nobody would replace or stop it. */
export function openWorkerChannel({ registry, stop }: { registry: Registry; stop: StopSignal }): WorkerChannel {
  let allServing = false
  if (!process.send) {
    const serving = () => {
      allServing = true
    }
    return { metrics: () => registry.metrics(), serving, allServing: () => allServing }
  }
  const waiting = new Map<number, (text: string) => void>()
  let nextId = 1
  const send = (message: FromWorker) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }
  process.on('disconnect', () => process.exit(1))
  process.on('message', (message: FromPrimary) => {
    switch (message.type) {
      case 'drain':
        return stop.request('primary is stopping')
      case 'all-serving':
        allServing = true
        return
      case 'ping':
        return send({ type: 'pong', id: message.id })
      case 'metrics':
        waiting.get(message.id)?.(message.text)
        waiting.delete(message.id)
        return
      case 'collect-metrics':
        registry.getMetricsAsJSON().then(
          (metrics) => send({ type: 'collected-metrics', id: message.id, metrics }),
          () => {}, // a collect function failed: the primary goes on with the last answer
        )
    }
  })
  return {
    serving: () => send({ type: 'serving' }),
    allServing: () => allServing,
    async metrics() {
      const id = nextId++
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      const deadline = setTimeout(() => reject(new Error('the primary did not answer')), METRICS_MS)
      waiting.set(id, resolve)
      send({ type: 'want-metrics', id })
      try {
        return await promise
      } finally {
        clearTimeout(deadline)
        waiting.delete(id)
      }
    },
  }
}
