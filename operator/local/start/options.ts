/** The command line of `npm start`. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { LocalOptions, PortName } from './start-local.ts'

/** Flag and variable of each port, in the order of --help. */
const PORTS: readonly [PortName, string, string][] = [
  ['smtp', 'SMTP (25)', '2525'],
  ['submissions', 'submission over TLS (465)', '2465'],
  ['submission', 'submission with STARTTLS (587)', '2587'],
  ['imaps', 'IMAP over TLS (993)', '2993'],
  ['http', 'HTTP: JMAP, admin, health (8080)', '8080'],
  ['https', 'the same over TLS (443)', '8443'],
  ['metrics', 'metrics of all engines', '9464'],
  ['api', 'the Kubernetes API', '6443'],
]

export const HELP = `Usage: npm start -- [options]

Starts the whole mail service on this machine: a Kubernetes API, the operator, and what the operator asks for (Postgres, a
bucket, mail engines) as local processes. Everything listens on 127.0.0.1 only. State is kept between runs.

  -f FILE                   apply this YAML (a file or a directory; may be repeated). The first start without it
                            applies crds/samples; later ones keep what is there
  --fresh                   forget everything from earlier runs, mail too
  --dir DIR                 where state is kept (default .local)
  --replicas N              engines per MailServer
${PORTS.map(([name, what, port]) => `  ${`--${name}-port PORT`.padEnd(26)}${what}; default ${port}, 0 is any free one`).join('\n')}
  --help                    this text

Each port can also be given as a variable: ${variableOf('smtp')}=2526. Ctrl-C ends everything; the next start brings back the same mail.
`

function variableOf(name: PortName): string {
  return `LOCAL_${name.toUpperCase()}_PORT`
}

/** The command line or a variable is wrong; the message says which. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/**
 * @param repositoryRoot relative --dir and the default are below the working directory, which npm sets to it
 * @returns undefined when help is wanted
 * @throws UsageError
 */
export function readOptions(
  args: readonly string[],
  env: Record<string, string | undefined>,
  repositoryRoot: string,
): LocalOptions | undefined {
  const values = parse(args)
  if (values.help === true) return undefined
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined)
  const ports: Partial<Record<PortName, number>> = {}
  for (const [name] of PORTS) {
    const flag = text(`${name}-port`)
    const given = flag ?? (env[variableOf(name)] || undefined)
    if (given !== undefined)
      ports[name] = whole(given, flag === undefined ? variableOf(name) : `--${name}-port`, 65_535)
  }
  const replicas = text('replicas')
  // npm runs us in the repository; what people type is relative to where they are.
  const typedIn = env.INIT_CWD ?? process.cwd()
  const files = Array.isArray(values.file) ? values.file.map((file) => resolve(typedIn, String(file))) : []
  return {
    dir: text('dir') === undefined ? join(repositoryRoot, '.local') : resolve(typedIn, text('dir') ?? ''),
    fresh: values.fresh === true,
    files,
    ports,
    env,
    ...(replicas === undefined ? {} : { replicas: whole(replicas, '--replicas', 20) }),
  }
}

function parse(args: readonly string[]): Record<string, unknown> {
  const portFlags = Object.fromEntries(PORTS.map(([name]) => [`${name}-port`, { type: 'string' as const }]))
  try {
    return parseArgs({
      args: [...args],
      options: {
        file: { type: 'string', short: 'f', multiple: true },
        fresh: { type: 'boolean' },
        dir: { type: 'string' },
        replicas: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        ...portFlags,
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function whole(text: string, name: string, high: number): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > high) {
    throw new UsageError(`${name}: "${text}" is not a whole number from 0 to ${high}`)
  }
  return value
}
