/** A listener on a free loopback port with in-memory parts behind it. */
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { createSmtpListener, type SmtpListener, type SmtpListenerOptions } from '../listener.ts'
import { createSmtpMetrics } from '../metrics.ts'
import { createSessionCounter } from '../sessions.ts'
import {
  type FakeAccounts,
  type FakeMailstore,
  fakeAccounts,
  fakeJudge,
  fakeMailstore,
  fakeSenderAuth,
  fakeSubmitter,
  testConfig,
} from './fakes.ts'
import { playTranscript } from './transcript.ts'

export interface StartOptions extends Partial<SmtpListenerOptions> {
  mailboxes?: Parameters<typeof fakeAccounts>[0]
}

export interface StartedListener extends AsyncDisposable {
  port: number
  listener: SmtpListener
  accounts: FakeAccounts
  mailstore: FakeMailstore
  submitted: ReturnType<typeof fakeSubmitter>['submitted']
  failedLogins: string[]
  registry: Registry
}

export async function startListener(options: StartOptions = {}): Promise<StartedListener> {
  const config = options.config ?? testConfig()
  const accounts = fakeAccounts(options.mailboxes ?? ['ann@example.org'])
  const mailstore = fakeMailstore()
  const submitter = fakeSubmitter()
  const registry = new Registry()
  const failedLogins: string[] = []
  const listener = createSmtpListener({
    role: 'mx',
    config,
    accounts,
    mailstore,
    submitter,
    judge: fakeJudge(),
    senderAuth: fakeSenderAuth,
    throttle: {
      allowed: async (address) => failedLogins.filter((failed) => failed === address).length < 3,
      failed: async (address) => void failedLogins.push(address),
    },
    sessions: createSessionCounter(() => config.limits),
    metrics: createSmtpMetrics(registry),
    logger: pino({ level: 'silent' }),
    now: () => new Date('2026-03-01T12:00:00Z'),
    failureDelayMs: 0,
    ...options,
  })
  const port = await listener.listen(0, '127.0.0.1')
  return {
    port,
    listener,
    accounts,
    mailstore,
    submitted: submitter.submitted,
    failedLogins,
    registry,
    async [Symbol.asyncDispose]() {
      await listener.drain(0)
    },
  }
}

/** Plays a dialogue against a listener of its own, then looks at what came of it. */
export async function smtpTranscript(
  options: StartOptions,
  transcript: string,
  check?: (started: StartedListener) => void,
): Promise<void> {
  await using started = await startListener(options)
  await playTranscript(started.port, transcript)
  check?.(started)
}
