/** Puts the whole platform on the test's node: image, CloudNativePG, MinIO, the operator by its chart, a MailServer. */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tool, toolsFolder } from '../cluster-tool.ts'

const repository = join(import.meta.dirname, '../..')
const execute = promisify(execFile)

export const IMAGE = { repository: 'local/mail-operator', tag: 'test' }
export const OPERATOR_NAMESPACE = 'mail-system'
export const NAMESPACE = 'communication'

export interface Platform {
  /** Runs kubectl as cluster-admin and answers what it prints. */
  kubectl(...args: string[]): Promise<string>
  /** As kubectl -o json, parsed. */
  json<T>(...args: string[]): Promise<T>
  apply(yaml: string): Promise<void>
}

/** @param directory of the running node (`cluster up --node DIRECTORY`) */
export function platformOn(directory: string): Platform {
  const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig') }
  const program = tool('kubectl')
  const kubectl = async (...args: string[]) =>
    (await execute(program, args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout
  return {
    kubectl,
    json: async <T>(...args: string[]) => JSON.parse(await kubectl(...args, '-o', 'json')) as T,
    async apply(yaml) {
      const running = execute(program, ['apply', '--server-side', '-f', '-'], { env })
      running.child.stdin?.end(yaml)
      await running
    },
  }
}

/** Builds our image from the checkout and loads it into the node. */
export async function loadImage(directory: string): Promise<void> {
  await execute(join(toolsFolder() ?? '', 'image'), [`${IMAGE.repository}:${IMAGE.tag}`, repository, directory], {
    maxBuffer: 64 * 1024 * 1024,
  })
}

/** Installs the real CloudNativePG operator or a real MinIO. */
export async function addOn(name: 'cnpg' | 'minio', directory: string): Promise<void> {
  await execute(join(toolsFolder() ?? '', 'addon'), [name, directory], { maxBuffer: 64 * 1024 * 1024 })
}

/** Installs the operator by its chart into a namespace of restricted Pod security, and waits for it. */
export async function installOperator(platform: Platform, directory: string): Promise<void> {
  await platform.apply(`
apiVersion: v1
kind: Namespace
metadata:
  name: ${OPERATOR_NAMESPACE}
  labels: { pod-security.kubernetes.io/enforce: restricted }
`)
  const values = { 'image.repository': IMAGE.repository, 'image.tag': IMAGE.tag, 'image.pullPolicy': 'Never' }
  const set = Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const chart = join(repository, 'charts/mail-operator')
  const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig') }
  const args = ['upgrade', '--install', 'mail-operator', chart, '--namespace', OPERATOR_NAMESPACE, ...set]
  await execute(tool('helm'), args, { env, maxBuffer: 64 * 1024 * 1024 })
  // A node that is used again has an image of the same name from an earlier build.
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'restart', 'deployment/mail-operator')
  await platform.kubectl('-n', OPERATOR_NAMESPACE, 'rollout', 'status', 'deployment/mail-operator', '--timeout=120s')
}

/** The namespace, the bucket's credentials, the MailServer and its accounts. */
export async function applyMailServer(platform: Platform): Promise<void> {
  const { data } = await platform.json<{ data: Record<string, string> }>('-n', 'storage', 'get', 'secret', 'minio-root')
  const decoded = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString()
  const yaml = readFileSync(join(import.meta.dirname, 'mail-server.yaml'), 'utf8')
    .replace('ACCESS_KEY_OF_MINIO', decoded('MINIO_ROOT_USER'))
    .replace('SECRET_KEY_OF_MINIO', decoded('MINIO_ROOT_PASSWORD'))
  await platform.apply(yaml)
}

/** What to print when something did not come up: every object's state and the last words of operator and engines. */
export async function report(platform: Platform): Promise<string> {
  const parts = await Promise.all(
    [
      ['get', 'pods,deployments,jobs', '-A', '-o', 'wide'],
      ['-n', NAMESPACE, 'get', 'mailservers,mailaccounts', '-o', 'yaml'],
      ['-n', NAMESPACE, 'get', 'events', '--sort-by=.lastTimestamp'],
      ['-n', OPERATOR_NAMESPACE, 'logs', 'deployment/mail-operator', '--tail=40'],
      ['-n', NAMESPACE, 'logs', '-l', 'app.kubernetes.io/name=mail-engine', '--tail=40', '--prefix'],
    ].map((args) => platform.kubectl(...args).catch((error: unknown) => String(error))),
  )
  return parts.join('\n---\n')
}
