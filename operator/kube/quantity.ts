/** Kubernetes quantities ("500m", "1Gi", "1e3") as exact numbers. Grammar: apimachinery pkg/api/resource/quantity.go. */

const PATTERN = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,2})?$/

const NANO = 1_000_000_000n
const SUFFIX: Record<string, bigint> = {
  '': NANO,
  n: 1n,
  u: 1_000n,
  m: 1_000_000n,
  k: NANO * 1_000n,
  M: NANO * 1_000_000n,
  G: NANO * 1_000_000_000n,
  T: NANO * 10n ** 12n,
  P: NANO * 10n ** 15n,
  E: NANO * 10n ** 18n,
  Ki: NANO << 10n,
  Mi: NANO << 20n,
  Gi: NANO << 30n,
  Ti: NANO << 40n,
  Pi: NANO << 50n,
  Ei: NANO << 60n,
}

/**
 * @returns the amount in billionths (the API's finest unit; finer digits are dropped, where the API rounds up),
 *   undefined when `value` is no quantity
 */
export function quantityNanos(value: string | number): bigint | undefined {
  const match = PATTERN.exec(String(value))
  if (!match) return undefined
  const [, sign, digits = '', suffix = ''] = match
  const [whole = '', fraction = ''] = digits.split('.')
  const exponent = /^[eE]([+-]?\d+)$/.exec(suffix)?.[1]
  const unit = exponent === undefined ? SUFFIX[suffix] : NANO
  if (unit === undefined) return undefined
  let amount = BigInt(whole + fraction || '0') * unit
  const shift = Number(exponent ?? 0) - fraction.length
  amount = shift >= 0 ? amount * 10n ** BigInt(shift) : amount / 10n ** BigInt(-shift)
  return sign === '-' ? -amount : amount
}

/** True when both are quantities of the same amount: "1000m" and "1", "1Gi" and 1073741824. */
export function sameQuantity(a: string | number, b: string | number): boolean {
  const nanos = quantityNanos(a)
  return nanos !== undefined && nanos === quantityNanos(b)
}
