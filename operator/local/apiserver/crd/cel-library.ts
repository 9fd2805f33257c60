/**
 * The functions that Kubernetes adds to CEL: k8s.io/apiserver/pkg/cel/library (regex, lists, URLs, IP, CIDR, quantity,
 * format) and cel-go's strings extension as far as the language package lacks it.
 */
import { BlockList, isIP } from 'node:net'
import type { Environment } from '@marcbachmann/cel-js'

class IpAddress {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
class Cidr {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
class Quantity {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}
class Url {
  readonly url: URL
  constructor(url: URL) {
    this.url = url
  }
}

const SUFFIXES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A resource.Quantity as a number; undefined when it is none. */
export function parseQuantity(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text)
  if (!match) return undefined
  const [, digits, exponent, suffix = ''] = match
  return exponent === undefined ? Number(digits) * (SUFFIXES[suffix] ?? 1) : Number(`${digits}e${exponent}`)
}

function cidrParts(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', bits = ''] = text.split('/')
  const version = isIP(address)
  if (!version || !/^\d+$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return undefined
  return { address, bits: Number(bits), family: version === 4 ? 'ipv4' : 'ipv6' }
}

function cidrContains(cidr: Cidr, address: string): boolean {
  const parts = cidrParts(cidr.text)
  if (!parts || !isIP(address)) return false
  const list = new BlockList()
  list.addSubnet(parts.address, parts.bits, parts.family)
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}

function parseUrl(text: string): URL | undefined {
  if (text.startsWith('/')) return new URL(text, 'relative://')
  return URL.canParse(text) ? new URL(text) : undefined
}

function must<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new Error(message)
  return value
}

function formatValue(verb: string, value: unknown): string {
  if (verb === 'd') return String(value)
  if (verb === 'x' || verb === 'X') {
    const hex = typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(String(value)).toString(16)
    return verb === 'X' ? hex.toUpperCase() : hex
  }
  if (verb === 'o') return BigInt(String(value)).toString(8)
  if (verb === 'b') return typeof value === 'boolean' ? String(Number(value)) : BigInt(String(value)).toString(2)
  if (Array.isArray(value)) return `[${value.map((item) => formatValue('s', item)).join(', ')}]`
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z')
  return String(value)
}

function format(template: string, values: unknown[]): string {
  let next = 0
  return template.replace(
    /%(%|(?:\.(\d+))?([a-zA-Z]))/g,
    (_all, whole: string, precision: string | undefined, verb: string) => {
      if (whole === '%') return '%'
      if (next >= values.length) throw new Error('index out of range')
      const value = values[next++]
      if (verb === 'f') return Number(value).toFixed(Number(precision ?? 6))
      if (verb === 'e') return Number(value).toExponential(Number(precision ?? 6))
      return formatValue(verb, value)
    },
  )
}

type Node = { op: string; args: unknown }
type Checker = { check: (node: unknown, context: unknown) => unknown; getType: (name: string) => unknown }
type Evaluator = { run: (node: unknown, context: unknown) => unknown }

/** The macro has(operand.field): whether the value of any operand has the field. */
function hasField({ args }: { args: Node[] }) {
  const [node] = args
  const [operand, field] = node?.op === '.' || node?.op === '.?' ? (node.args as [unknown, string]) : []
  if (field === undefined) throw new Error('invalid argument to has() macro')
  return {
    typeCheck: (checker: Checker, _macro: unknown, context: unknown) => {
      checker.check(operand, context)
      return checker.getType('bool')
    },
    evaluate: (evaluator: Evaluator, _macro: unknown, context: unknown) => {
      const value = evaluator.run(operand, context)
      return value instanceof Map
        ? value.has(field)
        : typeof value === 'object' && value !== null && Object.hasOwn(value, field)
    },
  }
}

/** Code that is not in this language version yet is left to its own error: a rule that calls it does not compile. */
export function registerKubernetesLibrary(environment: Environment): Environment {
  const compareItems = (a: unknown, b: unknown): number =>
    Number(a as number) < Number(b as number) || (typeof a === 'string' && a < String(b)) ? -1 : a === b ? 0 : 1
  environment
    .registerType('net.IP', IpAddress)
    .registerType('net.CIDR', Cidr)
    .registerType('kubernetes.Quantity', Quantity)
    .registerType('kubernetes.URL', Url)
  const functions: [string, (...values: never[]) => unknown][] = [
    ['string.find(string): string', (text: string, pattern: string) => new RegExp(pattern).exec(text)?.[0] ?? ''],
    [
      'string.findAll(string): list<string>',
      (text: string, pattern: string) => text.match(new RegExp(pattern, 'g')) ?? [],
    ],
    ['string.charAt(int): string', (text: string, index: bigint) => text[Number(index)] ?? ''],
    ['string.lowerAscii(): string', (text: string) => text.toLowerCase()],
    ['string.upperAscii(): string', (text: string) => text.toUpperCase()],
    ['string.trim(): string', (text: string) => text.trim()],
    [
      'string.replace(string, string): string',
      (text: string, from: string, to: string) => text.replaceAll(from, () => to),
    ],
    ['string.split(string): list<string>', (text: string, separator: string) => text.split(separator)],
    ['string.format(list): string', (template: string, values: unknown[]) => format(template, values)],
    [
      'list.isSorted(): bool',
      (list: unknown[]) => list.every((item, i) => i === 0 || compareItems(list[i - 1], item) <= 0),
    ],
    ['list.min(): dyn', (list: unknown[]) => must([...list].sort(compareItems)[0], 'min called on empty list')],
    ['list.max(): dyn', (list: unknown[]) => must([...list].sort(compareItems).at(-1), 'max called on empty list')],
    [
      'list.sum(): dyn',
      (list: (bigint | number)[]) =>
        list.reduce(
          (sum, item) => (typeof item === 'bigint' ? BigInt(sum) + item : Number(sum) + item),
          typeof list[0] === 'number' ? 0 : 0n,
        ),
    ],
    ['list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item))],
    ['list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.lastIndexOf(item))],
    ['isURL(string): bool', (text: string) => parseUrl(text) !== undefined],
    [
      'url(string): kubernetes.URL',
      (text: string) => new Url(must(parseUrl(text), `URL parse error during conversion from string: ${text}`)),
    ],
    [
      'kubernetes.URL.getScheme(): string',
      ({ url }: Url) => (url.protocol === 'relative:' ? '' : url.protocol.slice(0, -1)),
    ],
    ['kubernetes.URL.getHost(): string', ({ url }: Url) => url.host],
    ['kubernetes.URL.getHostname(): string', ({ url }: Url) => url.hostname.replace(/^\[|\]$/g, '')],
    ['kubernetes.URL.getPort(): string', ({ url }: Url) => url.port],
    ['kubernetes.URL.getEscapedPath(): string', ({ url }: Url) => url.pathname],
    ['isIP(string): bool', (text: string) => isIP(text) !== 0],
    ['isIP(string, int): bool', (text: string, family: bigint) => isIP(text) === Number(family)],
    [
      'ip(string): net.IP',
      (text: string) => new IpAddress(must(isIP(text) ? text : undefined, `IP Address "${text}" parse error`)),
    ],
    ['net.IP.family(): int', ({ text }: IpAddress) => BigInt(isIP(text))],
    ['isCIDR(string): bool', (text: string) => cidrParts(text) !== undefined],
    [
      'cidr(string): net.CIDR',
      (text: string) =>
        new Cidr(must(cidrParts(text) && text, `network address parse error during conversion from string: "${text}"`)),
    ],
    ['net.CIDR.containsIP(string): bool', (cidr: Cidr, address: string) => cidrContains(cidr, address)],
    ['net.CIDR.containsIP(net.IP): bool', (cidr: Cidr, { text }: IpAddress) => cidrContains(cidr, text)],
    ['net.CIDR.prefixLength(): int', ({ text }: Cidr) => BigInt(cidrParts(text)?.bits ?? 0)],
    ['isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined],
    [
      'quantity(string): kubernetes.Quantity',
      (text: string) => new Quantity(must(parseQuantity(text), `quantity parse error: ${text}`)),
    ],
    ['kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.value > b.value],
    ['kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.value < b.value],
    [
      'kubernetes.Quantity.compareTo(kubernetes.Quantity): int',
      (a: Quantity, b: Quantity) => BigInt(Math.sign(a.value - b.value)),
    ],
    ['kubernetes.Quantity.isInteger(): bool', ({ value }: Quantity) => Number.isInteger(value)],
    ['kubernetes.Quantity.asInteger(): int', ({ value }: Quantity) => BigInt(value)],
    ['kubernetes.Quantity.asApproximateFloat(): double', ({ value }: Quantity) => value],
    ['kubernetes.Quantity.sign(): int', ({ value }: Quantity) => BigInt(Math.sign(value))],
  ]
  environment.registerFunction('hasField(ast): bool', hasField)
  const known = new Set(environment.getDefinitions().functions.map(({ signature }) => signature))
  for (const [signature, handler] of functions)
    if (!known.has(signature)) environment.registerFunction(signature, handler)
  return environment
}
