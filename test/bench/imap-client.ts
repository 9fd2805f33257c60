/** The least IMAP client that can time a command: answers are counted, not parsed, so that the client costs little. */
import { connect, type TLSSocket } from 'node:tls'
import type { Endpoint } from './endpoints.ts'

export interface ImapAnswer {
  /** First 64 kB of the answer, for looking at. */
  text: string
  bytes: number
  seconds: number
}

export interface ImapClient extends AsyncDisposable {
  /** Sends one command and reads to its tagged OK. @throws Error on NO and BAD */
  run(command: string): Promise<ImapAnswer>
}

const KEPT = 65_536

/** Connects and logs in. */
export async function imapClient(to: Endpoint, login: { address: string; password: string }): Promise<ImapClient> {
  const socket: TLSSocket = connect({ host: to.host, port: to.port, rejectUnauthorized: false })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  let count = 0
  let onData: (chunk: Buffer) => void = () => {}
  let onEnd: (error: Error) => void = () => {}
  socket.on('data', (chunk: Buffer) => onData(chunk))
  socket.on('error', (error) => onEnd(error))
  socket.on('close', () => onEnd(new Error('IMAP: connection closed')))

  const run = (command: string) =>
    new Promise<ImapAnswer>((resolve, reject) => {
      const tag = `b${++count}`
      const started = process.hrtime.bigint()
      let bytes = 0
      let text = ''
      let tail = ''
      onEnd = reject
      onData = (chunk) => {
        bytes += chunk.length
        const part = chunk.toString('latin1')
        if (text.length < KEPT) text += part
        tail = (tail + part).slice(-2048)
        if (!tail.endsWith('\r\n')) return
        const before = tail.lastIndexOf('\r\n', tail.length - 3)
        const last = before < 0 ? tail : tail.slice(before + 2)
        if (!last.startsWith(`${tag} `)) return
        const seconds = Number(process.hrtime.bigint() - started) / 1e9
        if (last.startsWith(`${tag} OK`)) resolve({ text, bytes, seconds })
        else reject(new Error(`IMAP: ${command.slice(0, 60)}: ${last.trim()}`))
      }
      socket.write(`${tag} ${command}\r\n`)
    })
  await run(`LOGIN "${login.address}" "${login.password}"`)
  return {
    run,
    async [Symbol.asyncDispose]() {
      await run('LOGOUT').catch(() => {})
      socket.destroy()
    },
  }
}

/** Messages in INBOX, by STATUS. */
export async function inboxCount(client: ImapClient): Promise<number> {
  const { text } = await client.run('STATUS INBOX (MESSAGES)')
  return Number(/MESSAGES (\d+)/.exec(text)?.[1] ?? 0)
}
