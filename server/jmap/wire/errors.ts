/** JMAP's three kinds of errors, by the RFC's names. */

/** Ends one method call (RFC 8620 §3.6.2). `description` is read by strangers. */
export class MethodError extends Error {
  override name = 'MethodError'
  readonly type: MethodErrorType
  constructor(type: MethodErrorType, description?: string, options?: ErrorOptions) {
    super(description ?? type, options)
    this.type = type
  }
}

export type MethodErrorType =
  | 'serverFail'
  | 'serverUnavailable'
  | 'unknownMethod'
  | 'invalidArguments'
  | 'invalidResultReference'
  | 'forbidden'
  | 'accountNotFound'
  | 'accountNotSupportedByMethod'
  | 'accountReadOnly'
  | 'requestTooLarge'
  | 'cannotCalculateChanges'
  | 'stateMismatch'
  | 'anchorNotFound'
  | 'unsupportedSort'
  | 'unsupportedFilter'
  | 'tooManyChanges'
  | 'fromAccountNotFound'
  | 'fromAccountNotSupportedByMethod'

/** Why one object of a /set was left alone (RFC 8620 §5.3; RFC 8621 §2.5, §4.6, §7.5). */
export interface SetError {
  type: string
  description?: string
  properties?: string[]
  [detail: string]: unknown
}

/** Thrown while one object of a /set is worked on; the others go on. */
export class ObjectRefused extends Error {
  override name = 'ObjectRefused'
  readonly setError: SetError
  constructor(setError: SetError, options?: ErrorOptions) {
    super(setError.description ?? setError.type, options)
    this.setError = setError
  }
}

/** @param properties what is wrong with the object, by property name or path */
export function invalidProperties(properties: string[], description?: string): ObjectRefused {
  return new ObjectRefused({ type: 'invalidProperties', properties, ...(description ? { description } : {}) })
}

export const notFound = () => new ObjectRefused({ type: 'notFound' })
