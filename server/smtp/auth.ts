/** AUTH on the submission ports: failures are slow, and an address that keeps failing is turned away on every replica. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Account, Accounts } from '../accounts/accounts.ts'
import type { LoginThrottle } from '../accounts/login-throttle.ts'
import { SmtpRefusal } from './refusal.ts'

/** What a failed login costs the client in time; a guesser opens more sessions, which the session limit bounds. */
const FAILURE_DELAY_MS = 1000

/**
 * @throws SmtpRefusal 535 5.7.8 wrong, 454 4.7.0 too many failures or our trouble (RFC 4954 §6)
 */
export async function authenticate(
  deps: { accounts: Accounts; throttle: LoginThrottle; failureDelayMs?: number },
  client: { address: string },
  credentials: { username: string; password: string },
): Promise<Account> {
  if (!(await deps.throttle.allowed(client.address)))
    throw new SmtpRefusal({ code: 454, enhanced: '4.7.0' }, 'Too many failed logins from your address, try again later')
  const account = await deps.accounts.authenticate(credentials.username, credentials.password)
  if (account && !account.disabled) return account
  await deps.throttle.failed(client.address)
  await delay(deps.failureDelayMs ?? FAILURE_DELAY_MS)
  throw new SmtpRefusal({ code: 535, enhanced: '5.7.8' }, 'Authentication credentials invalid')
}
