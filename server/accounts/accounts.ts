/** Who may log in and which addresses are ours. */

export interface Account {
  /** 'a' and a number, as in the mail store and in JMAP. */
  id: string
  /** Primary address, lower case: alice@example.org. Also the login name. */
  address: string
  /** The person's name, for From. */
  displayName: string | undefined
  /** No login and no submission; mail is still received. */
  disabled: boolean
  quotaBytes: number | undefined
  usedBytes: number
}

/** What the operator's admin API writes. `password` is plain text on the way in only. */
export interface AccountSpec {
  address: string
  aliases: string[]
  password?: string
  displayName?: string
  quotaBytes?: number
  disabled?: boolean
}

/** Where a recipient address leads. */
export type Resolution =
  | {
      kind: 'local'
      account: Account /** subaddress detail, RFC 5233: "tag" of alice+tag@ */
      detail: string | undefined
    }
  /** Our domain, nobody there: 550 5.1.1. */
  | { kind: 'unknown' }
  /** Not our domain: relay only when authenticated. */
  | { kind: 'foreign' }

export interface Accounts {
  /** Verifies in constant time; undefined for wrong name or password alike. Successful checks are remembered shortly, so that HTTP clients do not pay scrypt per request. @throws Unavailable */
  authenticate(login: string, password: string): Promise<Account | undefined>
  /** A disabled account's address leads to it as ever. @throws Unavailable also while there is no account at all */
  resolve(address: string): Promise<Resolution>
  /** True when the account may send with this reverse-path or From: its address, an alias, or a subaddress of them. */
  maySendAs(account: Account, address: string): Promise<boolean>
  find(address: string): Promise<Account | undefined>
  findById(accountId: string): Promise<Account | undefined>
  list(options: { after?: string; limit: number }): Promise<Account[]>
  /** Creates or updates; idempotent. @throws AddressTaken when an address or alias belongs to another account; UnknownDomain */
  put(spec: AccountSpec): Promise<{ account: Account; created: boolean }>
  /** Deletes the account with all its mail. False when there was none. */
  remove(address: string): Promise<boolean>
}

export class AddressTaken extends Error {
  override name = 'AddressTaken'
}
export class UnknownDomain extends Error {
  override name = 'UnknownDomain'
}
