/** Outlook's Autodiscover in plain XML ("POX"): [MS-OXDSCLI]. What is asked is found by pattern, not parsed. Pure. */
import { MAIL_PORTS } from './ports.ts'
import { type Element, element, unescaped, xmlDocument } from './xml.ts'

const FRAME = 'http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006'
const OUTLOOK = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'

export interface AutodiscoverRequest {
  /** As written, entities resolved. */
  address: string
  /** The form that the answer shall have; undefined when nothing is said. */
  schema: string | undefined
}

/** @returns undefined when the text asks for no address */
export function readRequest(text: string): AutodiscoverRequest | undefined {
  // Every repetition is bounded and none overlaps its neighbour: a hostile body costs one pass.
  const contentOf = (name: string) =>
    new RegExp(`<(?:[\\w.-]{1,64}:)?${name}(?:\\s[^<>]{0,500})?>([^<>]{1,1000})</`, 'i').exec(text)?.[1]?.trim()
  const address = contentOf('EMailAddress')
  return address ? { address: unescaped(address), schema: contentOf('AcceptableResponseSchema') } : undefined
}

/** @param schema of the request. @returns true when it wants what we can say; ActiveSync, for one, we do not speak */
export function isOutlookSchema(schema: string | undefined): boolean {
  return schema === undefined || schema === OUTLOOK
}

/** @param address as asked; whether there is such an account plays no part */
export function settings(address: string, hostname: string): string {
  const protocol = (type: string, port: number, more: Element[] = []): Element =>
    element('Protocol', [
      element('Type', type),
      element('Server', hostname),
      element('Port', String(port)),
      element('DomainRequired', 'off'),
      element('LoginName', address),
      element('SPA', 'off'),
      element('SSL', 'on'),
      element('Encryption', 'SSL'),
      element('AuthRequired', 'on'),
      ...more,
    ])
  const account = element('Account', [
    element('AccountType', 'email'),
    element('Action', 'settings'),
    protocol('IMAP', MAIL_PORTS.imaps),
    protocol('SMTP', MAIL_PORTS.submissions, [element('UsePOPAuth', 'off'), element('SMTPLast', 'off')]),
  ])
  return answer([account], { xmlns: OUTLOOK })
}

/** 500: no such address here; 600: not a request; 601: no such answer to be had. */
const MESSAGES = {
  500: 'The email address is not of this server',
  600: 'Invalid request',
  601: 'Requested schema version not supported',
} as const

export function refusal(code: keyof typeof MESSAGES, now: Date): string {
  const error = [element('ErrorCode', String(code)), element('Message', MESSAGES[code]), element('DebugData')]
  return answer([element('Error', error, { Time: now.toISOString().slice(11, -1), Id: '0' })])
}

function answer(children: Element[], attributes: Record<string, string> = {}): string {
  return xmlDocument(element('Autodiscover', [element('Response', children, attributes)], { xmlns: FRAME }))
}
