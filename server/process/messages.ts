/** What primary and workers say to each other over their channel. */

/** A registry's metrics as `registry.getMetricsAsJSON()` gives them, after the channel. */
export type MetricsSnapshot = { name: string; type: unknown }[]

export type FromPrimary =
  | { type: 'drain' }
  | { type: 'collect-metrics'; id: number }
  | { type: 'metrics'; id: number; text: string }
  | { type: 'ping'; id: number }
  | { type: 'all-serving' }

export type FromWorker =
  | { type: 'serving' }
  | { type: 'pong'; id: number }
  | { type: 'want-metrics'; id: number }
  | { type: 'collected-metrics'; id: number; metrics: MetricsSnapshot }
