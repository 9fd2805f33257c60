/** date and date-time of RFC 9051 §9. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY_MS = 86_400_000

/** "23-Nov-2026" as midnight UTC; undefined when it is no date. */
export function parseSearchDate(text: string): Date | undefined {
  const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(text)
  if (!match) return undefined
  return utc(match[1], match[2], match[3], 0, 0, 0)
}

export function dayAfter(date: Date): Date {
  return new Date(date.getTime() + DAY_MS)
}

/** "23-Nov-2026 10:20:30 +0100", day padded with a space; undefined when it is none. */
export function parseDateTime(text: string): Date | undefined {
  const match = /^([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/.exec(text)
  if (!match) return undefined
  const [, day, month, year, hour, minute, second, sign, zoneHours, zoneMinutes] = match
  const date = utc(day, month, year, Number(hour), Number(minute), Number(second))
  if (!date || Number(zoneMinutes) > 59) return undefined
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000
  return new Date(date.getTime() - (sign === '-' ? -offset : offset))
}

function utc(
  dayText: string | undefined,
  monthName: string | undefined,
  yearText: string | undefined,
  hour: number,
  minute: number,
  second: number,
): Date | undefined {
  const month = MONTHS.findIndex((name) => name.toLowerCase() === monthName?.toLowerCase())
  const day = Number(dayText)
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(Date.UTC(Number(yearText), month, day, hour, minute, second))
  if (Number(yearText) < 100) date.setUTCFullYear(Number(yearText))
  return day >= 1 && date.getUTCMonth() === month ? date : undefined
}

/** INTERNALDATE, quoted, in UTC. */
export function formatDateTime(date: Date): string {
  const day = `${date.getUTCDate()}`.padStart(2, ' ')
  const year = `${date.getUTCFullYear()}`.padStart(4, '0')
  return `"${day}-${MONTHS[date.getUTCMonth()]}-${year} ${date.toISOString().slice(11, 19)} +0000"`
}
