/**
 * `npm run bench`: our engine against Postfix + Dovecot, both started here, measured in turn in one run.
 * Flags: --rounds 3, --messages 4000, --mailbox 10000, --peer 'python3 ../shared/tools/peer.py', --only delivery|imap|jmap
 * --no-journal leaves the peer's files on the system's own file system; quote the peer at its better one.
 * Prints a Markdown table; without the peer (it needs root and Debian's packages) our own figures alone, and says so.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cpuSeconds } from './accounting.ts'
import { type BenchEndpoints, readEndpoints } from './endpoints.ts'
import { imapClient, inboxCount } from './imap-client.ts'
import { firstScreen } from './jmap-client.ts'
import { sendLoad } from './smtp-load.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    messages: { type: 'string', default: '4000' },
    mailbox: { type: 'string', default: '10000' },
    peer: { type: 'string', default: '../shared/tools/peer.py' },
    only: { type: 'string' },
    'no-journal': { type: 'boolean', default: false },
  },
})
const repository = resolve(import.meta.dirname, '../..')
const rounds = Number(flags.rounds)
const messages = Number(flags.messages)
const mailboxSize = Number(flags.mailbox)
const wants = (part: string) => flags.only === undefined || flags.only === part
const directory = mkdtempSync(join(tmpdir(), 'mail-bench-run-'))
const started: ChildProcess[] = []

interface Side {
  name: string
  endpoints: BenchEndpoints
  /** Messages that every INBOX together holds. */
  delivered: number
}

/** One figure: what it is, and the value of each round for each side. */
interface Row {
  title: string
  unit: string
  higherIsBetter: boolean
  values: Map<string, number[]>
}
const rows: Row[] = []
const record = (title: string, unit: string, higherIsBetter: boolean, side: string, value: number) => {
  let row = rows.find((candidate) => candidate.title === title)
  if (!row) {
    row = { title, unit, higherIsBetter, values: new Map() }
    rows.push(row)
  }
  row.values.set(side, [...(row.values.get(side) ?? []), value])
}

try {
  const ours = await startSide('ours', [process.execPath, 'test/bench/ours.ts'])
  const sides = [ours]
  const peerScript = resolve(repository, flags.peer)
  if (existsSync(peerScript) && process.getuid?.() === 0) {
    sides.push(await startSide('peer', ['python3', peerScript], flags['no-journal'] ? [] : ['--journal']))
  } else {
    console.log(
      'The peer (Postfix + Dovecot) is left out: its script or root is missing. The figures below are ours alone.',
    )
  }

  if (wants('delivery')) {
    for (let round = 0; round <= rounds; round++) {
      for (const side of round % 2 ? sides : sides.toReversed()) await delivery(side, round)
    }
  }
  if (wants('imap')) for (const side of sides) await imap(side)
  if (wants('jmap')) await jmap(ours)
  report(sides)
} finally {
  for (const child of started) child.kill('SIGTERM')
  await Promise.all(
    started.map((child) => new Promise((done) => (child.exitCode === null ? child.once('exit', done) : done(0)))),
  )
  rmSync(directory, { recursive: true, force: true })
}

async function startSide(name: string, [program = '', ...args]: string[], extra: string[] = []): Promise<Side> {
  const out = join(directory, `${name}.json`)
  const child = spawn(program, [...args, '--out', out, '--accounts', '60', ...extra], {
    cwd: repository,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  started.push(child)
  for (let waited = 0; !existsSync(out); waited += 200) {
    if (child.exitCode !== null || waited > 120_000) throw new Error(`bench: ${name} did not start`)
    await pause(200)
  }
  return { name, endpoints: await readEndpoints(out), delivered: 0 }
}

/** 10-kB messages over 20 connections, until IMAP shows all of them. Round 0 warms up and is not recorded. */
async function delivery(side: Side, round: number): Promise<void> {
  const { endpoints } = side
  const recipients = endpoints.accounts.slice(0, 50)
  const clients = await Promise.all(recipients.map((account) => imapClient(endpoints.imaps, account)))
  const count = round === 0 ? Math.ceil(messages / 4) : messages
  const cpuBefore = endpoints.bench.cgroup ? cpuSeconds(endpoints.bench.cgroup) : Number.NaN
  const before = performance.now()
  await sendLoad({
    to: endpoints.smtp,
    connections: 20,
    messages: count,
    sizeBytes: 10_240,
    recipients: recipients.map((account) => account.address),
    run: `${process.pid}-${side.name}-${round}`,
  })
  side.delivered += count
  for (;;) {
    const counts = await Promise.all(clients.map(inboxCount))
    if (counts.reduce((sum, n) => sum + n, 0) >= side.delivered) break
    if (performance.now() - before > 300_000) throw new Error(`bench: ${side.name} never showed all messages`)
    await pause(50)
  }
  const seconds = (performance.now() - before) / 1000
  const cpu = (endpoints.bench.cgroup ? cpuSeconds(endpoints.bench.cgroup) : Number.NaN) - cpuBefore
  for (const client of clients) await client[Symbol.asyncDispose]()
  if (round === 0) return
  record('10-kB messages until seen by IMAP, 20 connections', 'messages/s', true, side.name, count / seconds)
  record('messages per CPU second', 'messages/CPU s', true, side.name, count / cpu)
}

async function fill(side: Side, account: { address: string; password: string }, count: number): Promise<void> {
  const before = side.delivered
  await sendLoad({
    to: side.endpoints.smtp,
    connections: 20,
    messages: count,
    sizeBytes: 2_048,
    recipients: [account.address],
    run: `${process.pid}-fill-${count}`,
  })
  await using client = await imapClient(side.endpoints.imaps, account)
  while ((await inboxCount(client)) < count) await pause(100)
  side.delivered = before
}

async function imap(side: Side): Promise<void> {
  const account = side.endpoints.accounts[50]
  if (!account) return
  await fill(side, account, mailboxSize)
  await using client = await imapClient(side.endpoints.imaps, account)
  await client.run('SELECT INBOX')
  for (let round = 0; round <= rounds; round++) {
    const fetched = await client.run('FETCH 1:* (UID FLAGS ENVELOPE)')
    const set = await client.run('UID STORE 1:* +FLAGS (\\Flagged)')
    const unset = await client.run('UID STORE 1:* -FLAGS.SILENT (\\Flagged)')
    const searched = await client.run('SEARCH SUBJECT "Message 77 of"')
    if (round === 0) continue
    const title = (what: string) => `${what}, ${mailboxSize} messages`
    record(title('FETCH 1:* (UID FLAGS ENVELOPE)'), 's', false, side.name, fetched.seconds)
    record(title('UID STORE 1:* +FLAGS'), 's', false, side.name, set.seconds)
    record(title('UID STORE 1:* -FLAGS.SILENT'), 's', false, side.name, unset.seconds)
    record(title('SEARCH SUBJECT'), 's', false, side.name, searched.seconds)
  }
}

async function jmap(side: Side): Promise<void> {
  const { http, accounts } = side.endpoints
  if (!http) return
  for (const [index, count] of [
    [51, 1000],
    [52, mailboxSize],
  ] as const) {
    const account = accounts[index]
    if (!account) continue
    await fill(side, account, count)
    for (let round = 0; round <= rounds * 5; round++) {
      const screen = await firstScreen(http, account)
      if (screen.emails !== 50) throw new Error(`bench: the first screen shows ${screen.emails} emails`)
      if (round > 4) record(`JMAP first screen at ${count} messages`, 's', false, side.name, screen.seconds)
    }
  }
}

function report(sides: Side[]): void {
  console.log(
    `\n${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}\n`,
  )
  console.log('| measured | ours | Postfix + Dovecot | ratio |\n|---|---|---|---|')
  for (const { title, unit, values, higherIsBetter } of rows) {
    const [ours, peer] = sides.map(({ name }) => median(values.get(name) ?? []))
    const cell = (value: number | undefined) =>
      value === undefined || Number.isNaN(value)
        ? '-'
        : `${value < 10 ? value.toPrecision(3) : Math.round(value)} ${unit}`
    const ratio = ours && peer ? (higherIsBetter ? ours / peer : peer / ours).toFixed(2) : '-'
    console.log(`| ${title} | ${cell(ours)} | ${cell(peer)} | ${ratio} |`)
  }
}

function median(values: number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted.length % 2
    ? sorted[(sorted.length - 1) / 2]
    : sorted.length
      ? ((sorted[sorted.length / 2 - 1] ?? 0) + (sorted[sorted.length / 2] ?? 0)) / 2
      : undefined
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds))
}
