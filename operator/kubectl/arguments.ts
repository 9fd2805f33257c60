/** The command line of `kubectl mail`. */

import { parseArgs } from 'node:util'

export const USAGE = `kubectl mail: MailServers at a glance, and what to do with them

  kubectl mail status [NAME]        what is ready, and why not
  kubectl mail dns [NAME]           records and what look-ups found
  kubectl mail dns [NAME] --zone    the same as a zone file to paste
  kubectl mail dkim [NAME]          DKIM keys and their states
  kubectl mail dkim rotate NAME     start a rotation
  kubectl mail queue NAME           recipients in the outbound queue
  kubectl mail pause NAME           the operator changes nothing any more
  kubectl mail resume NAME          it goes on
  kubectl mail report NAME          objects, conditions and events as YAML, without any Secret's value

  -n, --namespace NAMESPACE   default: that of the context
  -A, --all-namespaces        for status, dns and dkim without NAME
  -o, --output json           default: text
      --file FILE             report: write to FILE (readable by you alone) instead of standard output
      --context CONTEXT       of the kubeconfig
      --kubeconfig FILE       default: KUBECONFIG, ~/.kube/config
  -h, --help

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 answered, and something is not well (status: a server is not Ready;
dns: a record is missing or differs).
`

export type Command =
  | { verb: 'status' | 'dns' | 'zone' | 'dkim'; name: string | undefined }
  | { verb: 'rotate' | 'queue' | 'pause' | 'resume'; name: string }
  | { verb: 'report'; name: string; file: string | undefined }

export interface Invocation {
  command: Command
  namespace: string | undefined
  allNamespaces: boolean
  json: boolean
  context: string | undefined
  kubeconfig: string | undefined
}

/** A command line that means nothing; the message says why. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/**
 * @returns 'help' when that is asked for
 * @throws UsageError
 */
export function readInvocation(argv: readonly string[]): Invocation | 'help' {
  const { values, positionals } = parsed(argv)
  if (values.help || positionals.length === 0) return 'help'
  const output = values.output ?? 'text'
  if (output !== 'json' && output !== 'text') throw new UsageError(`--output: "${output}" is neither json nor text`)
  const command = commandOf(positionals, values)
  const allNamespaces = values['all-namespaces'] ?? false
  if (allNamespaces && command.name) throw new UsageError('--all-namespaces goes without NAME')
  if (allNamespaces && values.namespace) throw new UsageError('--all-namespaces goes without --namespace')
  if (values.zone && output === 'json') throw new UsageError('--zone is text: leave --output out')
  if (values.zone && command.verb !== 'zone') throw new UsageError('--zone belongs to dns')
  if (values.file !== undefined && command.verb !== 'report') throw new UsageError('--file belongs to report')
  return {
    command,
    namespace: values.namespace,
    allNamespaces,
    json: output === 'json',
    context: values.context,
    kubeconfig: values.kubeconfig,
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        namespace: { type: 'string', short: 'n' },
        'all-namespaces': { type: 'boolean', short: 'A' },
        output: { type: 'string', short: 'o' },
        zone: { type: 'boolean' },
        file: { type: 'string' },
        context: { type: 'string' },
        kubeconfig: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function commandOf(words: readonly string[], values: { zone?: boolean; file?: string }): Command {
  const [verb = '', ...rest] = words
  const isRotation = verb === 'dkim' && rest[0] === 'rotate'
  const names = isRotation ? rest.slice(1) : rest
  const [name] = names
  if (names.length > 1) throw new UsageError(`${verb}: one NAME at most, not ${names.join(' ')}`)
  if (name !== undefined && !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
    throw new UsageError(`"${name}" is no name of a MailServer`)
  }
  if (isRotation) return { verb: 'rotate', name: needed('dkim rotate', name) }
  switch (verb) {
    case 'status':
    case 'dkim':
      return { verb, name }
    case 'dns':
      return { verb: values.zone ? 'zone' : 'dns', name }
    case 'queue':
    case 'pause':
    case 'resume':
      return { verb, name: needed(verb, name) }
    case 'report':
      return { verb, name: needed(verb, name), file: values.file }
    default:
      throw new UsageError(`there is no command "${verb}"`)
  }
}

function needed(verb: string, name: string | undefined): string {
  if (name === undefined) throw new UsageError(`${verb}: the NAME of a MailServer is needed`)
  return name
}
