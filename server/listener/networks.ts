/** Addresses and networks as listeners compare them. */
import ipaddr from 'ipaddr.js'

/** IPv4-mapped IPv6 addresses, as a dual-stack socket reports them, become IPv4; scope ids go; others stay. */
export function plainAddress(address: string | undefined): string {
  if (!address) return '0.0.0.0'
  const bare = address.replace(/%.*$/, '')
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : bare
}

/** True when `address` lies in one of the CIDR networks; a network that cannot be read matches nothing. */
export function inNetworks(address: string, networks: readonly string[]): boolean {
  if (networks.length === 0 || !ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  return networks.some((network) => {
    try {
      const [base, bits] = ipaddr.parseCIDR(network)
      return base.kind() === parsed.kind() && parsed.match(base, bits)
    } catch {
      return false
    }
  })
}
