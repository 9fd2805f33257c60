/** What JMAP counts. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface JmapMetrics {
  calls: Counter<'method' | 'result'>
  duration: Histogram<'method'>
  streams: Gauge
  loginFailures: Counter
}

export function createJmapMetrics(registry: Registry): JmapMetrics {
  const registers = [registry]
  return {
    calls: new Counter({
      name: 'mail_jmap_method_calls_total',
      help: 'JMAP method calls by method and result: ok, or the error type',
      labelNames: ['method', 'result'],
      registers,
    }),
    duration: new Histogram({
      name: 'mail_jmap_method_duration_seconds',
      help: 'JMAP method calls, by method',
      labelNames: ['method'],
      buckets: [0.002, 0.01, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    streams: new Gauge({ name: 'mail_jmap_event_streams', help: 'Open JMAP event source streams', registers }),
    loginFailures: new Counter({
      name: 'mail_jmap_login_failures_total',
      help: 'HTTP requests to JMAP with a wrong login or password',
      registers,
    }),
  }
}
