/** Startup, readiness and liveness probes (core/v1 Probe), against the ports of a Pod on 127.0.0.1. */
import { get } from 'node:http'
import { connect } from 'node:net'
import type { Probe } from './objects.ts'

/** undefined: it passed; else why not, in the kubelet's words. */
export type ProbeOutcome = string | undefined

/** @param portOf maps a port's name or number inside the Pod to where it is */
export async function runProbe(
  probe: Probe,
  portOf: (port: number | string) => number | undefined,
): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000
  const target = probe.httpGet ?? probe.tcpSocket
  if (!target) return 'only httpGet and tcpSocket probes exist here'
  const port = portOf(target.port)
  if (port === undefined) return `no port ${target.port}`
  return probe.httpGet ? httpProbe(port, probe.httpGet.path ?? '/', timeoutMs) : tcpProbe(port, timeoutMs)
}

function httpProbe(port: number, path: string, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false, headers: { 'user-agent': 'kube-probe/local' } })
    const timer = setTimeout(() => request.destroy(new Error('no answer in time')), timeoutMs)
    request.on('response', (response) => {
      const status = response.statusCode ?? 0
      let body = ''
      response.on('data', (chunk: Buffer) => {
        if (body.length < 300) body += chunk.toString('utf8')
      })
      response.on('close', () => {
        clearTimeout(timer)
        const said = body.trim().slice(0, 300)
        resolve(
          status >= 200 && status < 400
            ? undefined
            : `HTTP probe failed with statuscode: ${status}${said && `: ${said}`}`,
        )
      })
      response.on('error', () => {}) // close follows
    })
    request.on('error', (error) => {
      clearTimeout(timer)
      resolve(`Get "http://127.0.0.1:${port}${path}": ${error.message}`)
    })
  })
}

function tcpProbe(port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer in time')))
    socket.on('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.on('error', (error) => resolve(`dial tcp 127.0.0.1:${port}: ${error.message}`))
  })
}

export interface Prober {
  stop(): void
}

/**
 * Repeats a probe until it is stopped, and tells when the verdict changes (after successThreshold or failureThreshold in a
 * row), the first verdict included.
 */
export function startProber(
  probe: Probe,
  portOf: (port: number | string) => number | undefined,
  onVerdict: (passed: boolean, message: string) => void,
): Prober {
  const periodMs = Math.max(1, probe.periodSeconds ?? 10) * 1000
  const needed = { pass: probe.successThreshold ?? 1, fail: probe.failureThreshold ?? 3 }
  let stopped = false
  let verdict: boolean | undefined
  let run = { passed: false, length: 0, lengthMs: 0 }
  let waitedMs = (probe.initialDelaySeconds ?? 0) * 1000
  let timer = setTimeout(() => void round(), waitedMs)

  async function round(): Promise<void> {
    // A path that is no path makes the request throw: a failure like any other.
    const outcome = await runProbe(probe, portOf).catch((error: Error) => error.message)
    if (stopped) return
    const passed = outcome === undefined
    if (run.passed !== passed) run = { passed, length: 0, lengthMs: 0 }
    run = { passed, length: run.length + 1, lengthMs: run.lengthMs + waitedMs }
    if (verdict !== passed && isDecided()) {
      verdict = passed
      onVerdict(passed, outcome ?? '')
    }
    if (stopped) return
    // Before the first verdict look often: nobody likes to wait for a period's end.
    waitedMs = verdict === undefined ? Math.min(periodMs, 500) : periodMs
    timer = setTimeout(() => void round(), waitedMs)
  }

  function isDecided(): boolean {
    if (run.passed) return run.length >= needed.pass
    // Looking often must not use up the patience that the thresholds mean.
    return verdict === undefined ? run.lengthMs >= needed.fail * periodMs : run.length >= needed.fail
  }

  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
