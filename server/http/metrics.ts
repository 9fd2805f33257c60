/** What HTTP counts. */
import { Counter, Histogram, type Registry } from 'prom-client'

export interface HttpMetrics {
  requests: Counter<'route' | 'method' | 'status'>
  duration: Histogram<'route'>
}

export function createHttpMetrics(registry: Registry): HttpMetrics {
  return {
    requests: new Counter({
      name: 'mail_http_requests_total',
      help: 'HTTP requests by route, method and status',
      labelNames: ['route', 'method', 'status'],
      registers: [registry],
    }),
    duration: new Histogram({
      name: 'mail_http_request_duration_seconds',
      help: 'From the request line to the end of the answer, by route',
      labelNames: ['route'],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers: [registry],
    }),
  }
}
