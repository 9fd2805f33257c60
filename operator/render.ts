/**
 * `npm run render -- -f FILE`: the objects that the operator would apply for the MailServers of a file, as YAML. Needs
 * no cluster: what others would tell (keys, addresses, passwords) stands as a placeholder.
 */

import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { parseAllDocuments, stringify } from 'yaml'
import { MailServerResource } from './api/group.ts'
import { InvalidSpec, parseMailServerSpec } from './api/mail-server.ts'
import { FIRST_SELECTOR } from './dkim/keys.ts'
import type { KubeObject } from './kube/types.ts'
import type { DesiredContext } from './mailserver/desired/context.ts'
import { dkimSecretName } from './mailserver/desired/names.ts'
import { desiredObjects } from './mailserver/desired/objects.ts'
import { newestVersions } from './mailserver/kinds.ts'

const USAGE = 'usage: npm run render -- -f FILE [--image IMAGE] [--address IP]\n'

export interface RenderOptions {
  image: string
  addresses: readonly string[]
}

/**
 * @param yaml any number of documents; other kinds than MailServer are left out
 * @returns a YAML stream
 * @throws InvalidSpec naming the fields
 */
export function renderObjects(yaml: string, options: RenderOptions): string {
  return contextsOf(yaml, options)
    .flatMap(desiredObjects)
    .map((object) => `---\n${stringify(withoutUid(object), { lineWidth: 0 })}`)
    .join('')
}

/**
 * What desired objects are made of, for every MailServer of a file.
 * @throws InvalidSpec naming the fields
 */
export function contextsOf(yaml: string, options: RenderOptions): DesiredContext[] {
  const servers = parseAllDocuments(yaml)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object?.kind === MailServerResource.kind)
  if (servers.length === 0) throw new InvalidSpec('there is no MailServer in the file')
  return servers.flatMap((server) => (server ? [contextOf(server, options)] : []))
}

function contextOf(server: KubeObject, { image, addresses }: RenderOptions): DesiredContext {
  const spec = parseMailServerSpec(server.spec)
  const { name, namespace = 'default' } = server.metadata
  return {
    server: { name, namespace, uid: '' },
    spec,
    facts: {
      image: spec.image ?? image,
      addresses,
      dkimKeys: spec.domains.flatMap(({ name: domain }) =>
        spec.dkim.algorithms.map((algorithm) => ({
          domain,
          algorithm,
          selector: FIRST_SELECTOR[algorithm],
          secretName: dkimSecretName(name, domain, FIRST_SELECTOR[algorithm]),
          state: 'Active' as const,
          since: '(when it is made)',
          privatePem: '(generated)',
          txt: `v=DKIM1; k=${algorithm === 'rsa2048' ? 'rsa' : 'ed25519'}; p=(generated)`,
        })),
      ),
      databaseUrl: '(from the database)',
      s3Endpoint: spec.storage.s3 ? (spec.storage.s3.endpoint ?? 'https://from-the-credentials-secret') : undefined,
      restartSecret: '',
      served: newestVersions(),
    },
  }
}

/** An owner's uid exists only in a cluster. */
function withoutUid(object: KubeObject): KubeObject {
  const { ownerReferences: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: {
        file: { type: 'string', short: 'f' },
        image: { type: 'string', default: process.env.ENGINE_IMAGE ?? '(the operator’s own)' },
        address: { type: 'string', multiple: true, default: [] },
      },
    })
    if (!values.file) throw new InvalidSpec(USAGE)
    const text = await readFile(values.file === '-' ? '/dev/stdin' : values.file, 'utf8')
    process.stdout.write(renderObjects(text, { image: values.image, addresses: values.address }))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
