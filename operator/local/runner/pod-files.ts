/**
 * A Pod's volumes as directories below its root, written as the kubelet does (pkg/volume/util/atomic_writer.go): the files
 * of one version in a directory of their own, and a symbolic link `..data` that is switched in one step. So a reader sees
 * the old certificate with the old key or the new with the new.
 */
import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import type { KubeObject } from '../../kube/types.ts'
import type { Container, Pod, Volume, VolumeSource } from './objects.ts'

/** Reads an object of the Pod's namespace from a cache. */
export interface ObjectLookup {
  secret(name: string): KubeObject | undefined
  configMap(name: string): KubeObject | undefined
}

/** Something the Pod needs is not there yet; the message names it, as the kubelet's does. */
export class NotYet extends Error {
  override name = 'NotYet'
}

/** The directory that stands for an absolute path inside the container. */
export function hostPath(root: string, containerPath: string): string {
  return join(root, normalize(`/${containerPath}`))
}

/** Names of the Secrets and ConfigMaps that a Pod mounts or reads its environment from. */
export function referencesOf(pod: Pod): { secrets: Set<string>; configMaps: Set<string> } {
  const secrets = new Set<string>()
  const configMaps = new Set<string>()
  const note = ({ secret, configMap }: VolumeSource): void => {
    if (secret) secrets.add(secret.secretName ?? secret.name ?? '')
    if (configMap) configMaps.add(configMap.name ?? '')
  }
  for (const volume of pod.spec.volumes ?? []) {
    note(volume)
    for (const source of volume.projected?.sources ?? []) note(source)
  }
  for (const container of pod.spec.containers) {
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef) secrets.add(valueFrom.secretKeyRef.name)
      if (valueFrom?.configMapKeyRef) configMaps.add(valueFrom.configMapKeyRef.name)
    }
  }
  return { secrets, configMaps }
}

/**
 * Brings the mounted volumes of a container up to date; nothing is touched that has not changed.
 * @throws NotYet when a Secret or ConfigMap that is not optional is missing
 */
export async function writeVolumes(pod: Pod, container: Container, root: string, lookup: ObjectLookup): Promise<void> {
  for (const mount of container.volumeMounts ?? []) {
    const volume = pod.spec.volumes?.find(({ name }) => name === mount.name)
    if (!volume) throw new NotYet(`volume "${mount.name}" is not defined`)
    const directory = hostPath(root, mount.mountPath)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    if (volume.emptyDir) continue
    await writeAtomically(directory, filesOf(volume, lookup))
  }
}

function filesOf(volume: Volume, lookup: ObjectLookup): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const sources = volume.projected?.sources ?? [volume]
  for (const source of sources) {
    const { secret, configMap } = source
    if (!secret && !configMap)
      throw new NotYet(`volume "${volume.name}": only Secrets, ConfigMaps and emptyDir exist here`)
    const reference = secret ?? configMap ?? {}
    const name = (secret ? (secret.secretName ?? secret.name) : configMap?.name) ?? ''
    const object = secret ? lookup.secret(name) : lookup.configMap(name)
    if (!object) {
      if (reference.optional) continue
      throw new NotYet(`${secret ? 'secret' : 'configmap'} "${name}" not found`)
    }
    const content = contentOf(object)
    const items = reference.items ?? [...content.keys()].map((key) => ({ key, path: key }))
    for (const { key, path } of items) {
      const bytes = content.get(key)
      if (bytes) files.set(safePath(path), bytes)
      else if (!reference.optional)
        throw new NotYet(`references non-existent ${secret ? 'secret' : 'config'} key: ${key}`)
    }
  }
  return files
}

/** The entries of a Secret or ConfigMap as bytes. */
export function contentOf(object: KubeObject): Map<string, Buffer> {
  const encoding = object.kind === 'Secret' ? 'base64' : 'utf8'
  const content = new Map<string, Buffer>()
  for (const [key, value] of Object.entries(object.data ?? {})) content.set(key, Buffer.from(value, encoding))
  const { binaryData } = object
  if (typeof binaryData === 'object' && binaryData !== null) {
    for (const [key, value] of Object.entries(binaryData)) content.set(key, Buffer.from(String(value), 'base64'))
  }
  return content
}

function safePath(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..') || path.startsWith('..')) {
    throw new NotYet(`path "${path}" is not allowed in a volume`)
  }
  return path
}

async function writeAtomically(directory: string, files: Map<string, Buffer>): Promise<void> {
  const link = join(directory, '..data')
  const version = versionOf(files)
  const current = await readlink(link).catch(() => undefined)
  if (current?.startsWith(`..${version}.`)) return
  const next = `..${version}.${randomBytes(4).toString('hex')}`
  for (const [path, bytes] of files) {
    const file = join(directory, next, path)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, bytes, { mode: 0o600 })
  }
  await mkdir(join(directory, next), { recursive: true, mode: 0o700 })
  await symlink(next, `${link}_tmp`)
  await rename(`${link}_tmp`, link)
  const visible = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''))
  for (const name of visible) {
    const exists = await lstat(join(directory, name)).catch(() => undefined)
    if (!exists) await symlink(join('..data', name), join(directory, name))
  }
  for (const name of await readdir(directory)) {
    const stale = name.startsWith('..') ? name !== '..data' && name !== next : !visible.has(name)
    if (stale && (await isOurs(directory, name))) await rm(join(directory, name), { recursive: true, force: true })
  }
}

/** Another volume may be mounted below this one: real directories of its are not ours. */
async function isOurs(directory: string, name: string): Promise<boolean> {
  return name.startsWith('..') || (await lstat(join(directory, name))).isSymbolicLink()
}

function versionOf(files: Map<string, Buffer>): string {
  const hash = createHash('sha256')
  for (const [path, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${path.length}:${path}${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex').slice(0, 16)
}
