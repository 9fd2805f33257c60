/**
 * What programs of strangers ask before anybody logs in: the MTA-STS policy, and the settings for mail programs. Answers
 * depend on our domains alone: none tells whether an account exists.
 */
import type { IncomingMessage } from 'node:http'
import { parseAddress } from '../accounts/addresses.ts'
import type { EngineConfig } from '../config.ts'
import { sendText } from '../http/answers.ts'
import { readBody } from '../http/body.ts'
import { HttpError, methodNotAllowed } from '../http/errors.ts'
import type { NamedRoute } from '../http/server.ts'
import type { RequestContext } from '../http/types.ts'
import { isOutlookSchema, readRequest, refusal, settings } from './autodiscover.ts'
import { mtaStsPolicy } from './mta-sts.ts'
import { clientConfig } from './thunderbird.ts'

/** Outlook's own request has some 400 bytes. */
const MAX_REQUEST_BYTES = 16_384
const XML = 'application/xml; charset=utf-8'

export interface AutoconfigDeps {
  /** Shows the present configuration. */
  config: Pick<EngineConfig, 'hostname' | 'domains' | 'mtaSts'>
  now: () => Date
}

export function autoconfigRoutes({ config, now }: AutoconfigDeps): NamedRoute[] {
  const isOurs = (domain: string) => config.domains.some(({ name }) => name === domain)

  async function mtaSts({ request, response, url }: RequestContext): Promise<boolean> {
    if (url.pathname !== '/.well-known/mta-sts.txt') return false
    const host = hostOf(request)
    // RFC 8461 §3.3: the policy host of a domain, and nothing else, speaks for it
    if (!host.startsWith('mta-sts.') || !isOurs(host.slice('mta-sts.'.length))) return false
    onlyGet(request)
    sendText(response, 200, mtaStsPolicy(config), 'text/plain')
    return true
  }

  async function thunderbird({ request, response, url }: RequestContext): Promise<boolean> {
    if (!THUNDERBIRD.has(url.pathname)) return false
    onlyGet(request)
    const domain = askedDomain(url.searchParams.get('emailaddress'), hostOf(request))
    if (domain === undefined) throw new HttpError(404, 'this server has no such mail domain')
    sendText(response, 200, clientConfig(domain, config.hostname), XML)
    return true
  }

  /** Of the address when there is one; else of the host name that was asked; else (a port forward) our first. */
  function askedDomain(address: string | null, host: string): string | undefined {
    if (address) {
      const domain = parseAddress(address)?.domain
      return domain !== undefined && isOurs(domain) ? domain : undefined
    }
    const named = host.replace(/^autoconfig\./, '')
    return isOurs(named) ? named : config.domains[0]?.name
  }

  async function autodiscover({ request, response, url }: RequestContext): Promise<boolean> {
    // Programs write it in at least three ways.
    if (url.pathname.toLowerCase() !== '/autodiscover/autodiscover.xml') return false
    if (request.method !== 'POST') throw methodNotAllowed(['POST'])
    const asked = readRequest((await readBody(request, MAX_REQUEST_BYTES)).toString())
    sendText(response, 200, answerTo(asked), XML) // Outlook reads the error in the body of a 200 only
    return true
  }

  function answerTo(asked: ReturnType<typeof readRequest>): string {
    const domain = asked && parseAddress(asked.address)?.domain
    if (!asked || domain === undefined) return refusal(600, now())
    if (!isOutlookSchema(asked.schema)) return refusal(601, now())
    return isOurs(domain) ? settings(asked.address, config.hostname) : refusal(500, now())
  }

  return [
    { name: 'mta-sts', handle: mtaSts },
    { name: 'autoconfig', handle: thunderbird },
    { name: 'autodiscover', handle: autodiscover },
  ]
}

const THUNDERBIRD = new Set(['/mail/config-v1.1.xml', '/.well-known/autoconfig/mail/config-v1.1.xml'])

function onlyGet({ method }: IncomingMessage): void {
  if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed(['GET', 'HEAD'])
}

/** The Host field's name, lower case, without port and final dot. */
function hostOf({ headers }: IncomingMessage): string {
  return (headers.host ?? '').toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}
