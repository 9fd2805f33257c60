/** `kubectl mail`: from a command line to an answer and an exit code. */

import { writeFile } from 'node:fs/promises'
import type { MailServer } from '../api/mail-server.ts'
import { isKubeError } from '../kube/errors.ts'
import type { KubeClient } from '../kube/types.ts'
import { zoneOfServer } from '../zone.ts'
import { rotateKeys, setPaused } from './annotations.ts'
import { type Invocation, readInvocation, USAGE, UsageError } from './arguments.ts'
import { queueSizes, queueTable } from './queue.ts'
import { keysJson, keysTable, recordsAreWell, recordsJson, recordsTable } from './records.ts'
import { makeReport, reportYaml } from './report.ts'
import { CommandError, findServer, findServers, isReady, placeOf } from './servers.ts'
import { accountsOf, statusJson, statusPage, statusTable } from './status.ts'

export const EXIT = { done: 0, failed: 1, usage: 2, notWell: 3 } as const

export interface Terminal {
  out(text: string): void
  err(text: string): void
}

/** A client of the cluster that the command line names, and the namespace of its context. */
export interface Connected extends AsyncDisposable {
  client: KubeClient
  namespace: string
}

export interface RunDeps {
  terminal: Terminal
  /** @throws Error when the kubeconfig cannot be used */
  connect(options: Pick<Invocation, 'context' | 'kubeconfig'>): Promise<Connected>
  now(): Date
}

/** @returns the exit code; nothing is thrown but what is our bug */
export async function run(argv: readonly string[], deps: RunDeps): Promise<number> {
  const { terminal } = deps
  let invocation: Invocation | 'help'
  try {
    invocation = readInvocation(argv)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    terminal.err(`error: ${error.message}\nSee kubectl mail --help\n`)
    return EXIT.usage
  }
  if (invocation === 'help') {
    terminal.out(USAGE)
    return EXIT.done
  }
  try {
    await using connected = await deps.connect(invocation)
    return await carryOut(invocation, connected, deps)
  } catch (error) {
    if (!(error instanceof CommandError || isKubeError(error))) throw error
    terminal.err(`error: ${error.message}\n`)
    return EXIT.failed
  }
}

async function carryOut(
  invocation: Invocation,
  { client, namespace: usual }: Connected,
  deps: RunDeps,
): Promise<number> {
  const { command, json, allNamespaces } = invocation
  const { out, err } = deps.terminal
  const namespace = invocation.namespace ?? usual
  const selection = { name: command.name, namespace: allNamespaces ? undefined : namespace }
  /** By name one answer, else a list. */
  const outJson = (answers: readonly unknown[]) =>
    out(`${JSON.stringify(command.name ? answers[0] : answers, undefined, 2)}\n`)

  /** None is an answer: for programs an empty list, for people a word beside the answer, as kubectl has it. */
  async function selected(): Promise<MailServer[]> {
    const servers = await findServers(client, selection)
    if (servers.length === 0) err(`No MailServers in ${placeOf(selection.namespace)}\n`)
    return servers
  }

  switch (command.verb) {
    case 'status': {
      const statuses = await accountsOf(client, await selected())
      if (json) outJson(statuses.map(statusJson))
      else if (command.name) out(statuses.map((one) => statusPage(one, deps.now())).join('\n'))
      else if (statuses.length > 0) out(statusTable(statuses))
      return statuses.every(({ server }) => isReady(server)) ? EXIT.done : EXIT.notWell
    }
    case 'dns': {
      const servers = await selected()
      if (json) outJson(servers.map(recordsJson))
      else if (servers.length > 0) out(recordsTable(servers))
      return servers.every(recordsAreWell) ? EXIT.done : EXIT.notWell
    }
    case 'zone': {
      const servers = await selected()
      out(servers.map(zoneOfServer).join('\n'))
      return EXIT.done
    }
    case 'dkim': {
      const servers = await selected()
      if (json) outJson(servers.map(keysJson))
      else if (servers.length > 0) out(keysTable(servers, deps.now()))
      return EXIT.done
    }
    case 'queue': {
      const server = await findServer(client, command.name, namespace)
      const sizes = await queueSizes(client, { namespace, name: server.metadata.name })
      if (json) outJson([{ namespace, name: server.metadata.name, recipients: sizes }])
      else out(queueTable(sizes))
      return EXIT.done
    }
    case 'rotate': {
      out(await rotateKeys(client, await findServer(client, command.name, namespace), deps.now()))
      return EXIT.done
    }
    case 'pause':
    case 'resume': {
      out(await setPaused(client, await findServer(client, command.name, namespace), command.verb === 'pause'))
      return EXIT.done
    }
    case 'report': {
      const report = await makeReport(client, await findServer(client, command.name, namespace), deps.now())
      const text = json ? `${JSON.stringify(report, undefined, 2)}\n` : reportYaml(report)
      if (command.file === undefined) out(text)
      else await saved(command.file, text)
      for (const what of report.incomplete) err(`not complete: ${what}\n`)
      if (command.file !== undefined) err(`${report.objects.length} objects written to ${command.file}\n`)
      return EXIT.done
    }
  }
}

/** Addresses of people are in it: for the user alone. Never over another file. */
async function saved(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
