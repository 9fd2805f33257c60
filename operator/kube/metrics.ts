/**
 * The runtime's metrics under the names that controller-runtime, client-go and its workqueue use, so that existing
 * dashboards and alerts for operators work unchanged.
 */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** controller-runtime's buckets for controller_runtime_reconcile_time_seconds. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
]
/** workqueue's exponential buckets, 10 ns to 1000 s, from 1 ms on: a promise tick is no measure below that. */
const QUEUE_BUCKETS = [0.001, 0.01, 0.1, 1, 10, 100, 1000]
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

/** There is a reflector per kind and watched namespace; the latter is empty where all are watched. */
const REFLECTOR: ('name' | 'namespace')[] = ['name', 'namespace']

export type KubeMetrics = ReturnType<typeof createKubeMetrics>

/** Registers the runtime's metrics. One per registry: prom-client refuses a name twice. */
export function createKubeMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers })
  return {
    reconciles: counter('controller_runtime_reconcile_total', 'Reconciliations per controller and result', [
      'controller',
      'result',
    ]),
    reconcileErrors: counter('controller_runtime_reconcile_errors_total', 'Reconciliations that failed', [
      'controller',
    ]),
    terminalErrors: counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciliations that failed for good and are not retried',
      ['controller'],
    ),
    reconcilePanics: counter(
      'controller_runtime_reconcile_panics_total',
      'Reconciliations that failed by a programming error (TypeError, RangeError, ReferenceError)',
      ['controller'],
    ),
    reconcileTimeouts: counter('controller_runtime_reconcile_timeouts_total', 'Reconciliations past their deadline', [
      'controller',
    ]),
    reconcileSeconds: histogram(
      'controller_runtime_reconcile_time_seconds',
      'Length of a reconciliation',
      ['controller'],
      RECONCILE_BUCKETS,
    ),
    maxConcurrentReconciles: gauge('controller_runtime_max_concurrent_reconciles', 'Workers of a controller', [
      'controller',
    ]),
    activeWorkers: gauge('controller_runtime_active_workers', 'Workers that are reconciling', ['controller']),
    queueDepth: gauge('workqueue_depth', 'Keys waiting in the queue', ['name', 'priority']),
    queueAdds: counter('workqueue_adds_total', 'Keys added to the queue', ['name']),
    queueSeconds: histogram(
      'workqueue_queue_duration_seconds',
      'How long a key waits before it is worked on',
      ['name'],
      QUEUE_BUCKETS,
    ),
    workSeconds: histogram('workqueue_work_duration_seconds', 'How long a key is worked on', ['name'], QUEUE_BUCKETS),
    unfinishedSeconds: gauge('workqueue_unfinished_work_seconds', 'Seconds of work in progress, summed up', ['name']),
    longestRunningSeconds: gauge('workqueue_longest_running_processor_seconds', 'Age of the oldest work in progress', [
      'name',
    ]),
    queueRetries: counter('workqueue_retries_total', 'Keys put back after a failure', ['name']),
    requests: counter('rest_client_requests_total', 'Requests to the Kubernetes API', ['code', 'method', 'host']),
    requestSeconds: histogram(
      'rest_client_request_duration_seconds',
      'Latency of requests to the Kubernetes API',
      ['verb', 'host'],
      REQUEST_BUCKETS,
    ),
    rateLimiterSeconds: histogram(
      'rest_client_rate_limiter_duration_seconds',
      'How long requests wait for the client-side rate limit',
      ['verb', 'host'],
      REQUEST_BUCKETS,
    ),
    leader: gauge('leader_election_master_status', '1 while this process holds the Lease', ['name']),
    reflectorLists: counter('reflector_lists_total', 'Full lists made by a reflector', REFLECTOR),
    reflectorWatches: counter('reflector_watches_total', 'Watches opened by a reflector', REFLECTOR),
    reflectorFailures: counter('reflector_failures_total', 'Lists and watches of a reflector that failed', REFLECTOR),
    reflectorObjects: gauge('reflector_objects', 'Objects in the cache of a reflector', REFLECTOR),
    reflectorUnreadable: gauge(
      'reflector_unreadable',
      '1 while the API refuses a reflector its list: a right is missing, or the kind is not served',
      REFLECTOR,
    ),
    reflectorContactSeconds: gauge(
      'reflector_last_contact_seconds',
      'Seconds since the API last sent anything to a reflector',
      REFLECTOR,
    ),
  }
}
