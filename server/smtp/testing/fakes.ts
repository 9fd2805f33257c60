/** In-memory parts behind the real interfaces, so that a protocol test shows the protocol and nothing else. */
import type { Account, Accounts, Resolution } from '../../accounts/accounts.ts'
import { type EngineConfigInput, parseEngineConfig } from '../../config.ts'
import { Unavailable } from '../../db/database.ts'
import type { Ingested, IngestItem, IngestOptions, Mailstore } from '../../mailstore/types.ts'
import type { Submission, Submitter } from '../../queue/types.ts'
import type { SenderAuth } from '../../senderauth/types.ts'
import type { Deferral, SpamJudge, Verdict } from '../../spam/types.ts'

/** Leaves out what a test does not touch: calling it is an error of the test. */
export function partOf<T extends object>(part: Partial<T>): T {
  return new Proxy(part as T, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (value === undefined && typeof name === 'string') throw new Error(`the test did not expect ${name}`)
      return value
    },
  })
}

export function testConfig(input: Partial<EngineConfigInput> = {}) {
  return parseEngineConfig({ hostname: 'mx.example.org', domains: [{ name: 'example.org' }], ...input })
}

export interface FakeAccounts extends Accounts {
  byAddress: Map<string, Account>
}

/** Everybody's password is "secret". */
export function fakeAccounts(addresses: (string | Partial<Account>)[]): FakeAccounts {
  const byAddress = new Map<string, Account>()
  for (const [index, given] of addresses.entries()) {
    const fields = typeof given === 'string' ? { address: given } : given
    const address = fields.address ?? ''
    byAddress.set(address, {
      id: String(index + 1),
      disabled: false,
      quotaBytes: undefined,
      displayName: undefined,
      usedBytes: 0,
      ...fields,
      address,
    })
  }
  const resolve = async (address: string): Promise<Resolution> => {
    if (!/@(?:.*\.)?example\.org$/i.test(address)) return { kind: 'foreign' }
    const account = byAddress.get(address.toLowerCase())
    return account ? { kind: 'local', account, detail: undefined } : { kind: 'unknown' }
  }
  const accounts: Partial<Accounts> = {
    resolve,
    find: async (address) => byAddress.get(address),
    findById: async (id) => [...byAddress.values()].find((account) => account.id === id),
    authenticate: async (login, password) => (password === 'secret' ? byAddress.get(login) : undefined),
    maySendAs: async (account, address) => account.address === address.toLowerCase(),
  }
  return partOf<FakeAccounts>({ ...accounts, byAddress })
}

export interface FakeMailstore extends Mailstore {
  ingested: (IngestItem & IngestOptions)[]
  confirmed: string[]
  /** While set, ingest fails with it. */
  failure: Error | undefined
  /** While set, ingest waits for it. */
  gate: Promise<void> | undefined
}

export function fakeMailstore(): FakeMailstore {
  const fake: Partial<FakeMailstore> = {
    ingested: [],
    confirmed: [],
    async ingest(items, options = {}) {
      await store.gate
      if (store.failure) throw store.failure
      await options.alongside?.({ query: async () => [] })
      return items.map((item): Ingested => {
        store.ingested.push({ ...item, ...options })
        const emailId = `e${store.ingested.length}`
        return { emailId, threadId: 't1', blobId: '0', sizeBytes: item.raw.length, modSeq: 1, memberships: [] }
      })
    },
    confirm: (deliveryKey) => void store.confirmed.push(deliveryKey),
  }
  const store = new Proxy(fake as FakeMailstore, {})
  return store
}

export const databaseAway = () => new Unavailable('database: connect ECONNREFUSED')

export function fakeSubmitter(): Submitter & { submitted: Submission[] } {
  const submitted: Submission[] = []
  return {
    submitted,
    async submit(submission) {
      submitted.push(submission)
      return { queueId: 'q1' }
    },
  }
}

export function fakeJudge(
  fixed: { deferral?: Deferral; verdict?: Partial<Verdict>; enabled?: boolean } = {},
): SpamJudge {
  return {
    enabled: () => fixed.enabled ?? true,
    admit: async () => fixed.deferral,
    judge: async () => ({ score: 0, tests: [], action: 'accept', header: '', ...fixed.verdict }),
  }
}

export const fakeSenderAuth: SenderAuth = {
  verify: async () => ({
    spf: { result: 'none', domain: '' },
    dkim: [],
    dmarc: { result: 'none', policy: undefined, domain: '' },
    arc: { result: 'none' },
    header: 'Authentication-Results: mx.example.org; spf=none\r\n',
  }),
}
