/** The three SMTP ports: one set of options, three roles, and the certificate of the moment. */
import { createSmtpListener, type SmtpListener, type SmtpListenerOptions, type SmtpRole } from '../smtp/listener.ts'
import type { Host } from './host.ts'
import type { Until } from './waiting.ts'

const PORTS = { mx: 'smtp', submissions: 'smtps', submission: 'submission' } as const satisfies Record<SmtpRole, string>

export interface SmtpPorts {
  /** 421 for idle sessions; resolves when the others have finished. */
  drain(deadlineMs: number): Promise<void>
}

/** Binds 25, 465 and 587, or what the configuration says. */
export async function listenSmtp(
  host: Host,
  options: Omit<SmtpListenerOptions, 'role'>,
  until: Until,
): Promise<SmtpPorts> {
  const listeners: SmtpListener[] = []
  const addresses = host.listeners()
  for (const [role, name] of Object.entries(PORTS) as [SmtpRole, (typeof PORTS)[SmtpRole]][]) {
    const pair = host.certificate.current()
    const listener = createSmtpListener({
      ...options,
      role,
      ...(pair ? { tls: { cert: pair.cert, key: pair.key } } : {}),
    })
    listeners.push(listener)
    await until(name, () => listener.listen(addresses[name], addresses.address))
  }
  host.certificate.onChange(({ cert, key }) => {
    for (const listener of listeners) listener.updateTls({ cert, key })
  })
  return {
    async drain(deadlineMs) {
      await Promise.all(listeners.map((listener) => listener.drain(deadlineMs)))
    },
  }
}
