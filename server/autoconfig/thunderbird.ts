/** The settings as Thunderbird and programs like it read them: config-v1.1.xml (draft-ietf-mailmaint-autoconfig). Pure. */
import { MAIL_PORTS } from './ports.ts'
import { type Element, element, xmlDocument } from './xml.ts'

/** @param domain one of ours */
export function clientConfig(domain: string, hostname: string): string {
  const server = (kind: 'incomingServer' | 'outgoingServer', type: string, port: number, socketType: string): Element =>
    element(
      kind,
      [
        element('hostname', hostname),
        element('port', String(port)),
        element('socketType', socketType),
        // A password in the clear, as RFC 4616 sends it: inside TLS.
        element('authentication', 'password-cleartext'),
        element('username', '%EMAILADDRESS%'), // the program's own placeholder: nothing is said about any account
      ],
      { type },
    )
  const provider = element(
    'emailProvider',
    [
      element('domain', domain),
      element('displayName', domain),
      element('displayShortName', domain),
      server('incomingServer', 'imap', MAIL_PORTS.imaps, 'SSL'),
      server('outgoingServer', 'smtp', MAIL_PORTS.submissions, 'SSL'),
      server('outgoingServer', 'smtp', MAIL_PORTS.submission, 'STARTTLS'),
    ],
    { id: domain },
  )
  return xmlDocument(element('clientConfig', [provider], { version: '1.1' }))
}
