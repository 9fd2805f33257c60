/** YAML files to objects in the API: read, fitted to this machine where a cluster is meant, applied. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { isKubeError } from '../../kube/errors.ts'
import { CustomResourceDefinition, Namespace } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'
import type { ObjectStore } from '../runner/bucket.ts'

const FIELD_MANAGER = 'npm-start'
const ESTABLISHED_DEADLINE_MS = 15_000

/** A file that cannot be applied; the message names it and says why. */
export class BadManifest extends Error {
  override name = 'BadManifest'
}

/**
 * The objects of files and directories (their *.yaml and *.yml), in the order in which they can be applied.
 * @throws BadManifest
 */
export async function readManifests(paths: readonly string[]): Promise<KubeObject[]> {
  const objects: KubeObject[] = []
  for (const path of paths) {
    for (const file of await filesOf(path)) objects.push(...objectsOf(file, await readText(file)))
  }
  const rank = ({ kind }: KubeObject): number =>
    ['Namespace', 'CustomResourceDefinition', 'Secret', 'ConfigMap'].indexOf(kind)
  return objects.sort((a, b) => order(rank(a)) - order(rank(b)))
}

function order(rank: number): number {
  return rank < 0 ? 99 : rank
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => {
    throw new BadManifest(`${path}: there is no such file`)
  })
  if (!found.isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort()
  return names.map((name) => join(path, name))
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: Error) => {
    throw new BadManifest(`${file}: ${error.message}`)
  })
}

function objectsOf(file: string, text: string): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [problem] = document.errors
    if (problem) throw new BadManifest(`${file}: ${problem.message}`)
    const value: unknown = document.toJS()
    return value === null || value === undefined ? [] : expanded(file, value)
  })
}

function expanded(file: string, value: unknown): KubeObject[] {
  if (!isObject(value) || typeof value.apiVersion !== 'string' || typeof value.kind !== 'string') {
    throw new BadManifest(`${file}: a document without apiVersion and kind`)
  }
  if (value.kind.endsWith('List') && Array.isArray(value.items))
    return value.items.flatMap((item) => expanded(file, item))
  if (!isObject(value.metadata) || typeof value.metadata.name !== 'string') {
    throw new BadManifest(`${file}: a ${value.kind} without metadata.name`)
  }
  return [value as unknown as KubeObject]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Fitting {
  store: Pick<ObjectStore, 'endpoint' | 'credentials'>
  /** Overrides spec.replicas of every MailServer. */
  replicas?: number
  /** Told what was changed. */
  progress: (message: string) => void
}

interface S3 {
  endpoint?: string
  credentialsSecretRef?: { name?: string }
}

/** The objects with what only exists in a cluster replaced by what exists here. */
export function fitToThisMachine(objects: readonly KubeObject[], { store, replicas, progress }: Fitting): KubeObject[] {
  const replacedSecrets = new Set<string>()
  const fitted = objects.map((object): KubeObject => {
    if (object.kind !== 'MailServer' || !isObject(object.spec)) return object
    const spec: Record<string, unknown> = { ...object.spec }
    if (replicas !== undefined) spec.replicas = replicas
    const s3: S3 | undefined = isObject(spec.storage) && isObject(spec.storage.s3) ? spec.storage.s3 : undefined
    if (s3?.endpoint && isInCluster(s3.endpoint)) {
      spec.storage = { ...(spec.storage as object), s3: { ...s3, endpoint: store.endpoint } }
      replacedSecrets.add(`${object.metadata.namespace ?? 'default'}/${s3.credentialsSecretRef?.name}`)
      progress(
        `MailServer ${object.metadata.name}: storage.s3.endpoint ${s3.endpoint} is only in a cluster; here it is ${store.endpoint}`,
      )
    }
    return { ...object, spec }
  })
  return fitted.map((object) => {
    if (object.kind !== 'Secret') return object
    if (!replacedSecrets.has(`${object.metadata.namespace ?? 'default'}/${object.metadata.name}`)) return object
    progress(`Secret ${object.metadata.name}: its S3 credentials are replaced by the local ones`)
    const { data: _data, stringData: _stringData, ...rest } = object
    return { ...rest, stringData: { ...store.credentials } } as KubeObject
  })
}

/** "http://minio.storage.svc:9000", "http://minio.storage.svc.cluster.local" */
function isInCluster(endpoint: string): boolean {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  return url !== undefined && /\.svc(\.|$)/.test(url.hostname)
}

/**
 * Server-side apply of each, as `kubectl apply --server-side --force-conflicts`; namespaces that are missing are made, and
 * CRDs are waited for.
 * @throws BadManifest with the API's words when one is refused
 */
export async function applyAll(client: KubeClient, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const [group = '', version] = object.apiVersion.includes('/')
      ? object.apiVersion.split('/')
      : ['', object.apiVersion]
    const resource = await client.discover(group, object.kind)
    if (!resource || version === undefined) {
      throw new BadManifest(
        `${object.kind} ${object.metadata.name}: the kind ${object.apiVersion}/${object.kind} does not exist here`,
      )
    }
    const namespace = resource.namespaced ? (object.metadata.namespace ?? 'default') : undefined
    if (namespace) await makeNamespace(client, namespace)
    const metadata = { ...object.metadata, ...(namespace ? { namespace } : {}) }
    try {
      await client.apply({ ...resource, version }, { ...object, metadata }, { fieldManager: FIELD_MANAGER })
    } catch (error) {
      if (isKubeError(error, 'Invalid', 'BadRequest')) throw new BadManifest(error.message, { cause: error })
      throw error
    }
  }
  const crds = objects.filter(({ kind }) => kind === 'CustomResourceDefinition')
  await Promise.all(crds.map(({ metadata }) => established(client, metadata.name)))
}

async function makeNamespace(client: KubeClient, name: string): Promise<void> {
  const key = { namespace: '', name }
  if (await client.find(Namespace, key)) return
  await client.apply(
    Namespace,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
    { fieldManager: FIELD_MANAGER },
  )
}

async function established(client: KubeClient, name: string): Promise<void> {
  const deadline = Date.now() + ESTABLISHED_DEADLINE_MS
  for (;;) {
    const crd = await client.get<KubeObject<unknown, { conditions?: { type: string; status: string }[] }>>(
      CustomResourceDefinition,
      { namespace: '', name },
    )
    if (crd.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) return
    if (Date.now() > deadline) throw new Error(`CRD ${name} is not established`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** "mailservers.yaml": for progress lines. */
export function namesOf(paths: readonly string[]): string {
  return paths.map((path) => basename(path)).join(', ')
}
