/** The Session object (RFC 8620 §2). */
import { createHash } from 'node:crypto'
import type { Account } from '../accounts/accounts.ts'
import type { EngineConfig } from '../config.ts'
import { accountCapabilities, MAIL, SUBMISSION, serverCapabilities } from './capabilities.ts'

/** @param baseUrl under which this client reaches us, without a slash at its end */
export function sessionObject(account: Account, config: EngineConfig, baseUrl: string): Record<string, unknown> {
  const accountId = account.id
  return {
    capabilities: serverCapabilities(config),
    accounts: {
      [accountId]: {
        name: account.address,
        isPersonal: true,
        isReadOnly: false,
        accountCapabilities: accountCapabilities(config),
      },
    },
    primaryAccounts: { [MAIL]: accountId, [SUBMISSION]: accountId },
    username: account.address,
    apiUrl: `${baseUrl}/jmap/api`,
    downloadUrl: `${baseUrl}/jmap/download/{accountId}/{blobId}/{name}?type={type}`,
    uploadUrl: `${baseUrl}/jmap/upload/{accountId}/`,
    eventSourceUrl: `${baseUrl}/jmap/eventsource/?types={types}&closeafter={closeafter}&ping={ping}`,
    state: sessionState(account, config),
  }
}

/** Changes when the Session object would, its URLs aside. */
export function sessionState(account: Account, config: EngineConfig): string {
  const facts = JSON.stringify([account.id, account.address, serverCapabilities(config), accountCapabilities(config)])
  return createHash('sha256').update(facts).digest('base64url').slice(0, 16)
}
