/** Mailbox names on the wire for clients of IMAP4rev1: RFC 3501 §5.1.3, RFC 9051 Appendix A.1. */

/** Unicode to modified UTF-7. */
export function encodeModifiedUtf7(name: string): string {
  if (/^[\x20-\x25\x27-\x7e]*$/.test(name)) return name
  return name.replace(/&|[^\x20-\x7e]+/g, (run) => {
    if (run === '&') return '&-'
    const bytes = Buffer.from(run, 'utf16le').swap16()
    return `&${bytes.toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`
  })
}

/** Modified UTF-7 to Unicode; what is not valid is left as it stands. */
export function decodeModifiedUtf7(name: string): string {
  if (!name.includes('&')) return name
  return name.replace(/&([A-Za-z0-9+,]*)-/g, (whole, base64: string) => {
    if (base64 === '') return '&'
    const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64')
    if (bytes.length % 2 !== 0 || bytes.length === 0) return whole
    return bytes.swap16().toString('utf16le')
  })
}
