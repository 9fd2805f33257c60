/** Domains as DNS and our configuration know them (RFC 5890). */
import { domainToASCII } from 'node:url'

/** ann@bücher.example is ann@xn--bcher-kva.example. What is no domain stays as it is. */
export function withALabels(address: string): string {
  const at = address.lastIndexOf('@')
  const domain = at === -1 || address[at + 1] === '[' ? '' : domainToASCII(address.slice(at + 1))
  return domain === '' ? address : `${address.slice(0, at)}@${domain}`
}

/** Lower case, A-labels. */
export const domainOf = (address: string): string => {
  const text = withALabels(address)
  return text.slice(text.lastIndexOf('@') + 1).toLowerCase()
}
