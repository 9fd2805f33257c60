/** Everything a rule may ask, found out before the first rule runs: a rule never waits. */
import type { SenderAuthResults } from '../senderauth/types.ts'
import type { MessageView } from './message-view.ts'

export interface Facts {
  message: MessageView
  clientAddress: string
  helo: string
  reversePath: string
  recipients: readonly string[]
  receivedAt: Date
  tls: boolean
  senderAuth: SenderAuthResults
}
