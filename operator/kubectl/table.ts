/** Text as kubectl prints it. */

const GAP = '   '

/** Columns padded to the widest cell; the last is not. @param rows the first is the heading */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows
    .map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(GAP))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** Long values are for --output json and --zone. */
export function cut(text: string, max = 64): string {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text
}

/** "5m", "3h", "12d": how kubectl tells ages; "" where the time is not known. */
export function age(timestamp: string | undefined, now: Date): string {
  const seconds = Math.floor((+now - Date.parse(timestamp ?? '')) / 1000)
  if (Number.isNaN(seconds) || timestamp?.startsWith('1970-')) return ''
  if (seconds < 120) return `${Math.max(seconds, 0)}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
