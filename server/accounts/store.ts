/** Accounts over Postgres, with short-lived caches that NOTIFY empties. */
import type { DomainConfig } from '../config.ts'
import { type Database, Unavailable } from '../db/database.ts'
import { formatId, parseId } from '../mailstore/ids.ts'
import { type Account, type AccountSpec, type Accounts, type Resolution, UnknownDomain } from './accounts.ts'
import { normalizeAddress, parseAddress } from './addresses.ts'
import { decoyHash, hashPassword, verifyPassword } from './passwords.ts'
import {
  ACCOUNT_CHANNEL,
  type AccountRow,
  deleteAccount,
  hasAlias,
  hasAnyAccount,
  readByAddress,
  readById,
  readPage,
  toAccount,
  writeAccount,
} from './rows.ts'
import { createSuccessCache } from './success-cache.ts'

/** How long a lookup by address is believed; used bytes may lag by as much. */
const LOOKUP_LIFETIME_MS = 5_000
const MAX_LOOKUPS = 20_000
const MAX_LIST = 1000

export interface AccountsDeps {
  db: Database
  /** Of the present configuration, which may change while we run. */
  domains: () => readonly DomainConfig[]
  now: () => Date
}

export function createAccounts({ db, domains, now }: AccountsDeps): Accounts & Disposable {
  const successes = createSuccessCache(now)
  const lookups = new Map<string, { row: Promise<AccountRow | undefined>; until: number }>()
  /** What an unknown user's password is checked against, so that it takes as long as a known one's. */
  const decoy = decoyHash()

  const stop = db.listen(
    ACCOUNT_CHANNEL,
    (id) => {
      // Which addresses it had is not known: an alias may have moved.
      lookups.clear()
      successes.forget(formatId('a', id))
    },
    () => {
      lookups.clear()
      successes.clear()
    },
  )

  let byName: { of: readonly DomainConfig[]; map: Map<string, DomainConfig> } | undefined

  function domainNamed(name: string): DomainConfig | undefined {
    const present = domains()
    if (byName?.of !== present) byName = { of: present, map: new Map(present.map((domain) => [domain.name, domain])) }
    return byName.map.get(name)
  }

  /** One statement per address and a few seconds, however many RCPTs ask. */
  function lookUp(address: string): Promise<AccountRow | undefined> {
    const time = now().getTime()
    const known = lookups.get(address)
    if (known && known.until > time) return known.row
    const row = readByAddress(db, address)
    const [oldest] = lookups.keys()
    lookups.delete(address)
    if (lookups.size >= MAX_LOOKUPS && oldest !== undefined) lookups.delete(oldest)
    const entry = { row, until: time + LOOKUP_LIFETIME_MS }
    lookups.set(address, entry)
    row.catch(() => {
      if (lookups.get(address) === entry) lookups.delete(address)
    })
    return row
  }

  let settled = false
  /** In a database that is still being set up, or was made anew, nobody is known: nobody's mail may bounce for that. */
  async function absent(): Promise<Resolution> {
    settled ||= await hasAnyAccount(db)
    if (!settled) throw new Unavailable('nobody has an account yet')
    return { kind: 'unknown' }
  }

  async function resolve(text: string): Promise<Resolution> {
    const parsed = parseAddress(text)
    const domain = parsed && domainNamed(parsed.domain)
    if (!parsed || !domain) return { kind: 'foreign' }
    const exact = normalizeAddress(text)
    // An account or alias may contain a '+' itself.
    if (exact !== undefined && exact !== parsed.address) {
      const row = await lookUp(exact)
      if (row) return { kind: 'local', account: toAccount(row), detail: undefined }
    }
    const row = await lookUp(parsed.address)
    if (row) return { kind: 'local', account: toAccount(row), detail: parsed.detail }
    const catchAll = domain.catchAll === undefined ? undefined : normalizeAddress(domain.catchAll)
    const caught = catchAll === undefined ? undefined : await lookUp(catchAll)
    if (!caught) return absent()
    return { kind: 'local', account: toAccount(caught), detail: undefined }
  }

  async function findById(accountId: string): Promise<Account | undefined> {
    const id = parseId('a', accountId)
    const row = id === undefined ? undefined : await readById(db, id)
    return row && toAccount(row)
  }

  /** @throws UnknownDomain also for what is not an address */
  function ownAddress(text: string): string {
    const address = normalizeAddress(text)
    const domain = parseAddress(text)?.domain
    if (address === undefined || domain === undefined || !domainNamed(domain)) {
      throw new UnknownDomain(`not an address of our domains: ${text}`)
    }
    return address
  }

  return {
    resolve,
    async authenticate(login, password) {
      const name = normalizeAddress(login) ?? ''
      const remembered = successes.get(name, password)
      if (remembered !== undefined) {
        const account = await findById(remembered.id).catch((error: unknown) => {
          // Who logged in a moment ago is told what is wrong by the command or method, not by the login.
          if (error instanceof Unavailable) return remembered
          throw error
        })
        return account && !account.disabled ? account : undefined
      }
      // Fresh from the database: a changed password counts at once.
      const row = name === '' ? undefined : await readByAddress(db, name)
      const matches = await verifyPassword(password, row?.password_hash ?? decoy)
      if (!row || row.password_hash === null || row.disabled || !matches) return undefined
      const account = toAccount(row)
      successes.add(name, password, account)
      return account
    },
    async maySendAs(account, address) {
      const id = parseId('a', account.id)
      const exact = normalizeAddress(address)
      const base = parseAddress(address)?.address
      if (id === undefined || exact === undefined || base === undefined) return false
      if (exact === account.address || base === account.address) return true
      return (await hasAlias(db, id, exact)) || (base !== exact && (await hasAlias(db, id, base)))
    },
    async find(address) {
      const normalized = normalizeAddress(address)
      const row = normalized === undefined ? undefined : await readByAddress(db, normalized)
      return row && toAccount(row)
    },
    findById,
    async list({ after, limit }) {
      return (await readPage(db, after ?? '', Math.min(limit, MAX_LIST))).map(toAccount)
    },
    async put({ password, ...spec }: AccountSpec) {
      const address = ownAddress(spec.address)
      const aliases = spec.aliases.map(ownAddress)
      const passwordHash = await hashUnlessSame(address, password)
      const { row, created } = await db.transaction((tx) =>
        writeAccount(tx, { ...spec, address, aliases, passwordHash }, now()),
      )
      lookups.clear()
      successes.forget(formatId('a', row.id))
      return { account: toAccount(row), created }
    },
    async remove(text) {
      const address = normalizeAddress(text)
      const removed = address !== undefined && (await deleteAccount(db, address))
      lookups.clear()
      return removed
    },
    [Symbol.dispose]: stop,
  }

  /** The operator puts accounts again and again: an unchanged password keeps its hash. */
  async function hashUnlessSame(address: string, password: string | undefined): Promise<string | undefined> {
    if (password === undefined) return undefined
    const row = await readByAddress(db, address)
    const present = row?.address === address ? row.password_hash : null
    return present !== null && (await verifyPassword(password, present)) ? undefined : hashPassword(password)
  }
}
