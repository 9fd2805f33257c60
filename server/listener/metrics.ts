/** What the ports count. */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface ListenerMetrics {
  connections: Counter<'listener'>
  open: Gauge<'listener'>
  refused: Counter<'listener' | 'reason'>
}

export function createListenerMetrics(registry: Registry): ListenerMetrics {
  const registers = [registry]
  return {
    connections: new Counter({
      name: 'mail_connections_total',
      help: 'TCP connections, by listener',
      labelNames: ['listener'],
      registers,
    }),
    open: new Gauge({
      name: 'mail_connections_open',
      help: 'Open connections, by listener',
      labelNames: ['listener'],
      registers,
    }),
    refused: new Counter({
      name: 'mail_connections_refused_total',
      help: 'Connections ended before their session began, by listener and reason',
      labelNames: ['listener', 'reason'],
      registers,
    }),
  }
}
