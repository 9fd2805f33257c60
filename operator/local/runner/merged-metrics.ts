/** The metrics of all Ready Pods on one page, each sample with its Pod as a label: what Prometheus would see of them. */
import { once } from 'node:events'
import { createServer } from 'node:http'

const MAX_PAGE_BYTES = 8 * 1024 * 1024
const SCRAPE_TIMEOUT_MS = 5_000

interface Family {
  /** # HELP and # TYPE, from the first Pod that has them. */
  comments: string[]
  samples: string[]
}

/**
 * Puts pages in the text exposition format together, each family once.
 * @param pages Pod name → its page
 */
export function mergeMetrics(pages: ReadonlyMap<string, string>): string {
  const families = new Map<string, Family>()
  for (const [pod, page] of pages) {
    let name = ''
    const described = new Set<string>()
    for (const line of page.split('\n')) {
      if (line === '') continue
      const comment = /^# (?:HELP|TYPE) (\S+)/.exec(line)
      if (comment) name = comment[1] ?? ''
      else if (line.startsWith('#')) continue
      const sample = /^([A-Za-z_:][\w:]*)(\{.*\})?( .+)$/.exec(line)
      // A sample without a description is a family of its own.
      const belongs = sample && (sample[1] === name || isPartOf(sample[1] ?? '', name)) ? name : (sample?.[1] ?? name)
      const family = families.get(belongs) ?? { comments: [], samples: [] }
      families.set(belongs, family)
      if (comment) {
        const kind = line.slice(0, 6)
        if (!family.comments.some((known) => known.startsWith(kind)) || described.has(belongs))
          family.comments.push(line)
        described.add(belongs)
      } else if (sample) {
        const labels = sample[2] ? sample[2].slice(1, -1).replace(/,$/, '') : ''
        family.samples.push(`${sample[1]}{pod="${pod}"${labels ? `,${labels}` : ''}}${sample[3]}`)
      }
    }
  }
  const text = [...families.values()].flatMap(({ comments, samples }) => [...new Set(comments), ...samples])
  return text.length > 0 ? `${text.join('\n')}\n` : ''
}

/** Histograms and summaries have samples of these names. */
function isPartOf(sample: string, family: string): boolean {
  return ['_bucket', '_sum', '_count', '_total', '_created'].some((suffix) => sample === family + suffix)
}

export interface MetricsServer {
  port: number
  close(): Promise<void>
}

/**
 * GET /metrics on 127.0.0.1.
 * @param targets Pod name → port of its HTTP listener, of the Pods that are Ready
 */
export async function startMetricsServer(port: number, targets: () => Map<string, number>): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('only GET /metrics is here\n')
      return
    }
    void scrapeAll(targets()).then((text) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the metrics endpoint has no port')
  return {
    port: address.port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function scrapeAll(targets: ReadonlyMap<string, number>): Promise<string> {
  const pages = await Promise.all([...targets].map(async ([pod, port]) => [pod, await scrape(port)] as const))
  return mergeMetrics(new Map(pages.filter(([, page]) => page !== '')))
}

/** '' when the Pod does not answer: it will not be Ready for long. */
async function scrape(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) })
    const text = response.ok ? await response.text() : ''
    return text.length > MAX_PAGE_BYTES ? '' : text
  } catch {
    return ''
  }
}
