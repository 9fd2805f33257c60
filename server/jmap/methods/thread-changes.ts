import { changesMethod } from './changes.ts'

/** Thread/changes. RFC 8620 §5.2, RFC 8621 §3.2. */
export const threadChanges = changesMethod('Thread', () => ({}))
