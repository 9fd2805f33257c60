/** Date fields: RFC 5322 §3.3 with the obsolete zones of §4.3 and the slips of real mail. */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const ZONES: Record<string, number> = {
  ut: 0,
  gmt: 0,
  utc: 0,
  z: 0,
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
}
const DATE =
  /^(?:[a-z]{2,10}\.?,?\s*)?(\d{1,2})[\s-]+([a-z]{3})[a-z]{0,6}\.?[\s-]+(\d{2,4}),?\s+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d{1,9})?)?\s*(am|pm)?\s*([+-]\d{2}:?\d{2}|[a-z]{1,5})?/i

const DAY_MS = 86_400_000

/** @returns undefined when the text holds no date, or one that no calendar has */
export function parseDate(value: string): Date | undefined {
  const parts = readDate(value)
  return parts && new Date(parts.written - parts.zoneMinutes * 60_000)
}

/** The day as it is written, time and zone disregarded, in days since 1970. @returns undefined as parseDate */
export function writtenDay(value: string): number | undefined {
  const parts = readDate(value)
  return parts && Math.floor(parts.written / DAY_MS)
}

/** @returns milliseconds since 1970 by the sender's clock, and how far that is ahead of UTC */
function readDate(value: string): { written: number; zoneMinutes: number } | undefined {
  const text = value
    .slice(0, 256)
    .replace(/\([^()]*\)/g, ' ')
    .trim()
  const match = DATE.exec(text)
  if (!match) return undefined
  const [, dayText, monthName = '', yearText = '', hourText, minuteText, secondText, half, zone] = match
  const month = MONTHS.indexOf(monthName.toLowerCase())
  const day = Number(dayText)
  let hour = Number(hourText)
  const minute = Number(minuteText)
  const second = Math.min(Number(secondText ?? 0), 59) // a leap second, 60, has no place in Date
  if (half) hour = (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0)
  if (month < 0 || day < 1 || day > 31 || hour > 24 || minute > 59) return undefined
  const written = Date.UTC(fullYear(yearText), month, day, hour, minute, second)
  return Number.isFinite(written) ? { written, zoneMinutes: zoneMinutes(zone) } : undefined
}

/** RFC 5322 §4.3: two digits 00 to 49 are 20xx, 50 to 99 and three digits add 1900. */
function fullYear(text: string): number {
  const year = Number(text)
  if (text.length === 2) return year < 50 ? 2000 + year : 1900 + year
  return text.length === 3 ? 1900 + year : year
}

function zoneMinutes(zone: string | undefined): number {
  if (!zone) return 0
  const offset = /^([+-])(\d{2}):?(\d{2})$/.exec(zone)
  if (!offset) return ZONES[zone.toLowerCase()] ?? 0 // unknown and military zones: as -0000
  const minutes = Number(offset[2]) * 60 + Number(offset[3])
  return offset[1] === '-' ? -minutes : minutes
}
