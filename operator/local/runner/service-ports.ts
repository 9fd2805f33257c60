/** Which local port stands for which Service port: the same one in every run, the well-known ones for the first server. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isFree } from '../free-port.ts'

/** 127.0.0.1 ports that stand for a mail server's, without root's rights. */
export const LOCAL_PORTS: Record<number, number> = { 25: 2525, 465: 2465, 587: 2587, 993: 2993, 8080: 8080, 443: 8443 }

export interface ServicePorts {
  /**
   * A port to listen on, and remembered.
   * @param id "namespace/service:port"
   * @throws PortTaken when the user asked for this very port and somebody else has it
   */
  portFor(id: string, servicePort: number): Promise<number>
  /** The listener stands there: the port to take again next time. */
  opened(id: string, port: number): void
  /** The listener could not be opened there after all. */
  forget(id: string): void
}

/** The user asked for a port that another program has. */
export class PortTaken extends Error {
  override name = 'PortTaken'
}

/**
 * @param path file that remembers the choices
 * @param wanted Service port → local port as the user said; 0 is any free one
 * @param onMoved told when a usual port was not free
 */
export function openServicePorts(
  path: string,
  wanted: Record<number, number>,
  onMoved: (id: string, usual: number, instead: number) => void,
): ServicePorts {
  const known = read(path)

  /** True when no other Service of this run or an earlier one stands there. */
  const belongsToNobody = (port: number, id: string): boolean =>
    Object.entries(known).every(([other, at]) => at !== port || other === id)

  async function nextFree(usual: number): Promise<number> {
    const taken = new Set(Object.values(known))
    for (let port = usual + 1; port < Math.min(usual + 1000, 65_536); port++) {
      if (!taken.has(port) && (await isFree(port))) return port
    }
    throw new PortTaken(`no free port from ${usual} on`)
  }

  return {
    async portFor(id, servicePort) {
      const asked = wanted[servicePort]
      const before = known[id]
      if (asked !== undefined && asked > 0 && belongsToNobody(asked, id)) {
        if (await isFree(asked)) return asked
        throw new PortTaken(`port ${asked} on 127.0.0.1 is in use by another program`)
      }
      if (asked === 0) return before !== undefined && (await isFree(before)) ? before : 0
      const usual = asked ?? LOCAL_PORTS[servicePort] ?? (servicePort < 1024 ? servicePort + 8000 : servicePort)
      const usualIsOurs = belongsToNobody(usual, id)
      if (usualIsOurs && (await isFree(usual))) return usual
      const instead = before !== undefined && (await isFree(before)) ? before : await nextFree(usual)
      if (usualIsOurs) onMoved(id, usual, instead)
      return instead
    },
    opened(id, port) {
      if (known[id] === port) return
      known[id] = port
      writeFileSync(`${path}.new`, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    },
    forget(id) {
      delete known[id]
    },
  }
}

function read(path: string): Record<string, number> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof parsed !== 'object' || parsed === null) return {}
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, number] => Number.isInteger(entry[1])),
    )
  } catch {
    return {}
  }
}
