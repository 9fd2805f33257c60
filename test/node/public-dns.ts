/** The zone test., which the node's DNS serves as public DNS would, and the mail server of somebody else in it. */

import { Resolver } from 'node:dns/promises'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import { eventually } from './eventually.ts'
import type { Platform } from './platform.ts'

/** This machine and the node's DNS, as they reach each other. */
const HOST = '10.199.0.1'
const NAME_SERVER = '10.199.0.2'
/** spec.outbound.mxPort in mail-server.yaml. */
const MX_PORT = 2525

/** Domain of somebody who receives mail on this machine. */
export const FOREIGN_DOMAIN = 'receiver.test'

export function publicDns(): Resolver {
  const resolver = new Resolver()
  resolver.setServers([NAME_SERVER])
  return resolver
}

/** Replaces what is published, and waits until it is served. @param records with absolute names, as in a zone file */
export async function publish({ directory }: Platform, records: string): Promise<void> {
  const file = join(directory, 'test.zone')
  const before = Number(/SOA \S+ \S+ (\d+)/.exec(await readFile(file, 'utf8'))?.[1] ?? 0)
  const zone = `$ORIGIN test.
@ 60 IN SOA ns.test. hostmaster.test. ${before + 1} 60 60 60 60
@ 60 IN NS ns
ns 60 IN A ${NAME_SERVER}
receiver 60 IN MX 10 mx.receiver
mx.receiver 60 IN A ${HOST}
${records}`
  await writeFile(file, zone)
  const dns = publicDns()
  await eventually('the zone to be served', async () => (await dns.resolveSoa('test')).serial === before + 1)
}

export interface ForeignServer extends AsyncDisposable {
  /** Messages as they came, newest last. */
  readonly received: readonly Buffer[]
}

/** The MX of FOREIGN_DOMAIN. */
export async function startForeignServer(): Promise<ForeignServer> {
  const received: Buffer[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    onData(stream, _session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        received.push(Buffer.concat(chunks))
        callback()
      })
    },
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(MX_PORT, HOST, resolve)
  })
  return {
    received,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
