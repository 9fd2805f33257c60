/**
 * `npm run render -- -f FILE`: the objects that the operator would apply for the MailServers of a file, as YAML. Needs
 * no cluster: what others would tell (keys, addresses, passwords) stands as a placeholder.
 */

import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { parseAllDocuments, stringify } from 'yaml'
import { compileRules, readBuiltInRules } from '../server/spam/rule-set.ts'
import { MailServerResource } from './api/group.ts'
import { InvalidSpec } from './api/invalid-spec.ts'
import { parseMailServerSpec } from './api/mail-server.ts'
import type { KubeObject } from './kube/types.ts'
import type { DesiredContext } from './mailserver/desired/context.ts'
import { foreseenFacts } from './mailserver/desired/foreseen.ts'
import { desiredObjects } from './mailserver/desired/objects.ts'

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
  const facts = foreseenFacts({ name }, spec, { image: spec.image ?? image, addresses })
  return { server: { name, namespace, uid: '' }, spec, facts }
}

/** Lines of spec.spam.rules that an engine of this release leaves out: "spec.spam.rules[0]:12: why". */
export function spamRuleMistakes(contexts: readonly DesiredContext[]): string[] {
  const builtIn = readBuiltInRules()
  return contexts.flatMap(({ spec }) =>
    compileRules(builtIn, spec.spam.rules).mistakes.map((mistake) => `spec.${mistake}`),
  )
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
    const options = { image: values.image, addresses: values.address }
    process.stdout.write(renderObjects(text, options))
    for (const mistake of spamRuleMistakes(contextsOf(text, options))) process.stderr.write(`left out: ${mistake}\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
