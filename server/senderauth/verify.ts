/** SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), ARC (RFC 8617) of an incoming message, by mailauth, in bounded time. */
import { authenticate } from 'mailauth'
import { headerEnd, headerFields } from '../message/headers.ts'
import type { DnsResolver } from './resolver.ts'
import type { AuthResult, SenderAuth, SenderAuthInput, SenderAuthResults } from './types.ts'

export interface SenderAuthDeps {
  /** Our name as authserv-id (RFC 8601 §2.5). Read at each message. */
  hostname: () => string
  resolver: DnsResolver
  /** All DNS questions of one message together. Default 10 s: RFC 7208 §4.6.4 asks for at most 20. */
  deadlineMs?: number
}

const DEADLINE_MS = 10_000
/** RFC 6376 §6.1: a verifier may limit how many it looks at. Each costs a DNS question and a public key operation. */
const MAX_SIGNATURES = 10

export function createSenderAuth({ hostname, resolver, deadlineMs = DEADLINE_MS }: SenderAuthDeps): SenderAuth {
  return {
    async verify(input) {
      const late = Promise.withResolvers<never>()
      late.promise.catch(() => undefined)
      const timer = setTimeout(() => {
        late.reject(Object.assign(new Error('DNS took too long'), { code: 'ETIMEOUT' }))
      }, deadlineMs)
      const ask = (name: string, type: string): Promise<string[] | string[][]> =>
        Promise.race([resolver.resolve(name, type) as Promise<string[]>, late.promise])
      try {
        return await check(input, hostname(), ask)
      } catch {
        return unclear(hostname()) // whatever a message did to the verifier, it does not decide on the mail
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

async function check(
  { raw, clientAddress, helo, reversePath }: SenderAuthInput,
  hostname: string,
  resolver: (name: string, type: string) => Promise<string[] | string[][]>,
): Promise<SenderAuthResults> {
  const { spf, dkim, dmarc, arc } = await authenticate(withFewSignatures(raw), {
    ip: clientAddress,
    helo,
    ...(reversePath === '' ? {} : { sender: reversePath }), // RFC 7208 §2.4: the null reverse-path is postmaster@helo
    mta: hostname,
    resolver,
    disableBimi: true,
    rejectRsaSha1: true, // RFC 8301 §3.1
  })
  const infos: string[] = []
  const signatures: SenderAuthResults['dkim'] = []
  for (const row of dkim.results) {
    // RFC 8601 §2.7.1: a signature whose body hash does not match has failed; mailauth calls it neutral
    const tampered = row.status.result === 'neutral' && /body hash/i.test(row.status.comment ?? '')
    infos.push(tampered ? row.info.replace(/^dkim=neutral/, 'dkim=fail') : row.info)
    signatures.push({
      result: tampered ? 'fail' : resultOf(row.status.result),
      domain: row.signingDomain ?? '',
      selector: row.selector ?? '',
      aligned: Boolean(row.status.aligned),
    })
  }
  if (spf) infos.push(spf.info)
  const arcInfo = arc ? arc.info : undefined
  if (arcInfo) infos.push(arcInfo)
  if (dmarc) infos.push(dmarc.info)
  return {
    spf: { result: spf ? resultOf(spf.status.result) : 'none', domain: spf ? spf.domain : '' },
    dkim: signatures.filter(({ result, domain }) => result !== 'none' || domain !== ''),
    dmarc: {
      result: dmarc ? resultOf(dmarc.status.result) : 'none',
      policy: dmarc && !dmarc.testMode ? policyOf(dmarc.policy) : undefined,
      domain: dmarc ? (dmarc.status.header?.from ?? '') : '',
    },
    arc: { result: arc ? resultOf(arc.status.result) : 'none' },
    header: authenticationResults(hostname, infos),
  }
}

const unclear = (hostname: string): SenderAuthResults => ({
  spf: { result: 'temperror', domain: '' },
  dkim: [],
  dmarc: { result: 'temperror', policy: undefined, domain: '' },
  arc: { result: 'none' },
  header: authenticationResults(hostname, ['spf=temperror', 'dmarc=temperror']),
})

/** RFC 8601 §2.2, folded before each result; "none" when nothing was found out. */
function authenticationResults(hostname: string, infos: string[]): string {
  const results = infos.map((info) => info.replace(/\r?\n\s*/g, ' ').trim()).filter((info) => info !== '')
  return `Authentication-Results: ${[hostname, ...(results.length > 0 ? results : ['none'])].join(';\r\n\t')}\r\n`
}

const RESULTS = new Set<AuthResult>(['none', 'neutral', 'pass', 'fail', 'softfail', 'policy', 'temperror', 'permerror'])
const resultOf = (result: string): AuthResult => {
  const known = result as AuthResult
  return RESULTS.has(known) ? known : 'none'
}

function policyOf(policy: string): SenderAuthResults['dmarc']['policy'] {
  return policy === 'none' || policy === 'quarantine' || policy === 'reject' ? policy : undefined
}

/** Leaves the first signatures in and takes the others out. */
function withFewSignatures(raw: Buffer): Buffer {
  const { fieldsEnd } = headerEnd(raw, 0, raw.length)
  const signatures = headerFields(raw, 0, fieldsEnd).filter(({ name }) => name.toLowerCase() === 'dkim-signature')
  if (signatures.length <= MAX_SIGNATURES) return raw
  const kept: Buffer[] = []
  let from = 0
  for (const { start, end } of signatures.slice(MAX_SIGNATURES)) {
    kept.push(raw.subarray(from, start))
    from = end
  }
  return Buffer.concat([...kept, raw.subarray(from)])
}
