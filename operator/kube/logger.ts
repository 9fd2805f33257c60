/** What the runtime logs to; a pino logger is one. Fields first, then the message, as pino takes them. */
export interface KubeLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Says nothing: the default where a caller gives no logger. */
export const silentLogger: KubeLogger = { debug() {}, info() {}, warn() {}, error() {} }
