import { changesMethod } from './changes.ts'

/** Email/changes. RFC 8620 §5.2, RFC 8621 §4.3. */
export const emailChanges = changesMethod('Email', () => ({}))
