/**
 * Puts the whole platform on the test's node: image, CloudNativePG, MinIO, the operator by its chart, a MailServer. Every
 * step leaves alone what is there already, so that each test file begins with it.
 */

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { parseAllDocuments, stringify } from 'yaml'
import type { MailServerSpecInput } from '../../operator/api/mail-server-spec.ts'
import { tool, toolsFolder } from '../cluster-tool.ts'

const repository = join(import.meta.dirname, '../..')
const execute = promisify(execFile)
const MAX_OUTPUT = { maxBuffer: 64 * 1024 * 1024 }

export const OPERATOR_NAMESPACE = 'mail-system'
export const OPERATOR = 'mail-operator'
export const NAMESPACE = 'communication'
export const MAIL_SERVER = 'stalwart'
const IMAGE = 'local/mail-operator'

export interface Platform {
  /** Of the running node (`cluster up --node DIRECTORY`): kubeconfig, test.zone. */
  readonly directory: string
  /** Runs kubectl as cluster-admin and answers what it prints. */
  kubectl(...args: string[]): Promise<string>
  /** As kubectl -o json, parsed. */
  json<T>(...args: string[]): Promise<T>
  /** Runs a kubectl that goes on, and hands over each line that it prints. */
  follow(args: string[], onLine: (line: string) => void): Disposable
  /** Server-side, as a user would: what is not in it any more is given up. */
  apply(yaml: string, fieldManager?: string): Promise<void>
}

export function platformOn(directory: string): Platform {
  const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig') }
  const program = tool('kubectl')
  const kubectl = async (...args: string[]) => (await execute(program, args, { env, ...MAX_OUTPUT })).stdout
  return {
    directory,
    kubectl,
    json: async <T>(...args: string[]) => JSON.parse(await kubectl(...args, '-o', 'json')) as T,
    follow(args, onLine) {
      const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
      createInterface({ input: child.stdout }).on('line', onLine)
      return { [Symbol.dispose]: () => void child.kill() }
    },
    async apply(yaml, fieldManager = 'test') {
      const args = ['apply', '--server-side', '--force-conflicts', `--field-manager=${fieldManager}`, '-f', '-']
      const running = execute(program, args, { env, ...MAX_OUTPUT })
      running.child.stdin?.end(yaml)
      await running
    },
  }
}

/** Everything, up to a MailServer that is Ready with its accounts. */
export async function setUp(platform: Platform): Promise<void> {
  const image = imageOfCheckout()
  await loadImage(platform, image)
  await Promise.all([
    addOn(platform, 'cnpg', 'cnpg-system', 'cnpg-controller-manager'),
    addOn(platform, 'minio', 'storage', 'minio'),
  ])
  await installOperator(platform)
  await applyMailServer(platform, await enginesOf(platform, image))
  await platform.kubectl('-n', NAMESPACE, 'wait', 'mailserver', MAIL_SERVER, '--for=condition=Ready', '--timeout=600s')
  await platform.kubectl('-n', NAMESPACE, 'wait', 'mailaccount', '--all', '--for=condition=Ready', '--timeout=120s')
}

/** "local/mail-operator:3fa9…": what is in it says its tag, so that a node that is used again gets a changed checkout. */
export function imageOfCheckout(): string {
  const hash = createHash('sha256')
  const inside = globSync(['Dockerfile', 'package*.json', '{crds,operator,server}/**/*.{ts,sql,yaml}'], {
    cwd: repository,
    exclude: ['**/*.test.ts'],
  })
  for (const path of inside.sort()) hash.update(path).update(readFileSync(join(repository, path)))
  return `${IMAGE}:${hash.digest('hex').slice(0, 12)}`
}

/** Builds the image from the checkout, unless the node has it. */
async function loadImage({ directory }: Platform, image: string): Promise<void> {
  if ((await images(directory, 'list', '-q')).split('\n').includes(`docker.io/${image}`)) return
  await execute(join(toolsFolder() ?? '', 'image'), [image, repository, directory], MAX_OUTPUT)
}

/** The same image under another tag: the next version, as far as Kubernetes can tell. */
export async function tagImage({ directory }: Platform, image: string, tag: string): Promise<void> {
  await images(directory, 'tag', '--force', `docker.io/${image}`, `docker.io/${tag}`)
}

async function images(directory: string, ...args: string[]): Promise<string> {
  const containerd = ['--address', join(directory, 'run/containerd.sock'), '--namespace', 'k8s.io']
  return (await execute(join(dirname(tool('node')), 'ctr'), [...containerd, 'images', ...args], MAX_OUTPUT)).stdout
}

/** Installs the real CloudNativePG operator or a real MinIO. */
async function addOn(platform: Platform, name: string, namespace: string, deployment: string): Promise<void> {
  const found = await platform.kubectl('-n', namespace, 'get', 'deployment', deployment, '--ignore-not-found')
  if (!found) await execute(join(toolsFolder() ?? '', 'addon'), [name, platform.directory], MAX_OUTPUT)
}

/** Installs the operator by its chart into a namespace of restricted Pod security, and waits for it. */
export async function installOperator(platform: Platform, values: Record<string, string> = {}): Promise<void> {
  await platform.apply(`
apiVersion: v1
kind: Namespace
metadata:
  name: ${OPERATOR_NAMESPACE}
  labels: { pod-security.kubernetes.io/enforce: restricted }
`)
  const [name = '', tag = ''] = imageOfCheckout().split(':')
  const given = { 'image.repository': name, 'image.tag': tag, 'image.pullPolicy': 'Never', ...values }
  const set = Object.entries(given).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  await helm(platform, 'upgrade', '--install', OPERATOR, join(repository, 'charts/mail-operator'), ...set)
  const deployment = `deployment/${OPERATOR}`
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'status', deployment, '--timeout=120s')
}

export async function helm({ directory }: Platform, ...args: string[]): Promise<void> {
  const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig') }
  await execute(tool('helm'), [...args, '--namespace', OPERATOR_NAMESPACE], { env, ...MAX_OUTPUT })
}

/** spec.image where engines of another checkout run: theirs is pinned. */
async function enginesOf(platform: Platform, image: string): Promise<Partial<MailServerSpecInput>> {
  const get = [
    '-n',
    NAMESPACE,
    'get',
    'mailserver',
    MAIL_SERVER,
    '--ignore-not-found',
    '-o',
    'jsonpath={.status.image}',
  ]
  const running = await platform.kubectl(...get).catch(() => '')
  return running === '' || running.startsWith(image) ? {} : { image }
}

/**
 * The namespace, the bucket's credentials, the MailServer and its accounts, as in mail-server.yaml.
 * @param change replaces fields of the MailServer's spec
 */
export async function applyMailServer(platform: Platform, change: Partial<MailServerSpecInput> = {}): Promise<void> {
  const { data } = await platform.json<{ data: Record<string, string> }>('-n', 'storage', 'get', 'secret', 'minio-root')
  const decoded = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString()
  const yaml = readFileSync(join(import.meta.dirname, 'mail-server.yaml'), 'utf8')
    .replace('ACCESS_KEY_OF_MINIO', decoded('MINIO_ROOT_USER'))
    .replace('SECRET_KEY_OF_MINIO', decoded('MINIO_ROOT_PASSWORD'))
  const objects = parseAllDocuments(yaml).map((document) => document.toJS() as { kind: string; spec?: object })
  const changed = objects.map((object) =>
    object.kind === 'MailServer' ? { ...object, spec: { ...object.spec, ...change } } : object,
  )
  await platform.apply(changed.map((object) => stringify(object)).join('---\n'))
}

/** The real CRDs of others. @param names files beside the tools, without .yaml */
export async function applyCrds(platform: Platform, ...names: string[]): Promise<void> {
  for (const name of names) {
    await platform.apply(readFileSync(join(toolsFolder() ?? '', '../crds', `${name}.yaml`), 'utf8'))
  }
}

/** What to print when something did not come up: every object's state and the last words of operator and engines. */
export async function report(platform: Platform): Promise<string> {
  const parts = await Promise.all(
    [
      ['get', 'pods,deployments,jobs,services', '-A', '-o', 'wide'],
      ['-n', NAMESPACE, 'get', 'mailservers,mailaccounts', '-o', 'yaml'],
      ['-n', NAMESPACE, 'get', 'events', '--sort-by=.lastTimestamp'],
      ['-n', OPERATOR_NAMESPACE, 'logs', `deployment/${OPERATOR}`, '--tail=40'],
      ['-n', NAMESPACE, 'logs', '-l', 'app.kubernetes.io/name=mail-engine', '--tail=40', '--prefix'],
    ].map((args) => platform.kubectl(...args).catch((error: unknown) => String(error))),
  )
  return parts.join('\n---\n')
}
