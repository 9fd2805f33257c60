/**
 * CloudNativePG's part: for each Cluster a real Postgres on this machine, the Secret `<cluster>-app`, and a status. It is one
 * server whatever spec.instances says, and it listens on loopback without TLS.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { differs } from '../../kube/apply-if-changed.ts'
import type { KubeLogger } from '../../kube/logger.ts'
import { Secret } from '../../kube/resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey, type Resource } from '../../kube/types.ts'
import { freePorts, isFree } from '../free-port.ts'
import { launchPostgres, type RunningPostgres } from '../postgres/launch.ts'
import { kubeTime } from './objects.ts'

export const CnpgCluster: Resource = {
  group: 'postgresql.cnpg.io',
  version: 'v1',
  kind: 'Cluster',
  plural: 'clusters',
  namespaced: true,
}

const MANAGER = 'local-runner'
const RETRY_MS = 5_000

interface ClusterSpec {
  instances?: number
  bootstrap?: {
    initdb?: { database?: string; owner?: string; postInitApplicationSQL?: string[] }
    recovery?: { database?: string; owner?: string }
  }
  postgresql?: { parameters?: Record<string, string> }
}

export interface ClusterStatus {
  phase?: string
  secretsResourceVersion?: { applicationSecretVersion?: string }
  conditions?: { type: string; status: string; lastTransitionTime?: string }[]
  [field: string]: unknown
}

export type Cluster = KubeObject<ClusterSpec, ClusterStatus>

/** The role and database that CloudNativePG makes for the application (bootstrap.initdb; "app" by default). */
interface Application {
  database: string
  user: string
  password: string
  statements: readonly string[]
}

export interface CnpgDeps {
  client: KubeClient
  logger: KubeLogger
  /** A directory per Cluster is made here. */
  directory: string
  now: () => Date
  /** Told in words what happens. */
  progress: (message: string) => void
  /** Looks at a Cluster again: its server has ended. */
  again: (key: ObjectKey) => void
}

export interface Cnpg {
  reconcile(key: ObjectKey): Promise<number | undefined>
  /** Stops every server; open transactions are rolled back, committed ones are safe. */
  stop(): Promise<void>
}

export function createCnpg(deps: CnpgDeps): Cnpg {
  const { client, logger } = deps
  const servers = new Map<string, RunningPostgres>()
  let stopped = false

  async function reconcile(key: ObjectKey): Promise<number | undefined> {
    if (stopped) return undefined
    const cluster = await client.find<Cluster>(CnpgCluster, key)
    if (!cluster || cluster.metadata.deletionTimestamp) {
      await remove(key)
      return undefined
    }
    try {
      const server = servers.get(keyText(key)) ?? (await start(key, cluster))
      const application = await applicationOf(key, cluster)
      await prepareDatabase(server, application)
      const secretVersion = await keepSecret(key, cluster, server, application)
      await writeStatus(key, cluster, { ready: true, phase: 'Cluster in healthy state', secretVersion })
      return undefined
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      logger.error({ err: error, cluster: keyText(key) }, 'postgres is not running')
      deps.progress(`Postgres of ${keyText(key)} does not run: ${message}`)
      await writeStatus(key, cluster, { ready: false, phase: `Not running: ${message}`.slice(0, 500) })
      return RETRY_MS
    }
  }

  async function start(key: ObjectKey, cluster: Cluster): Promise<RunningPostgres> {
    const directory = join(deps.directory, `${key.namespace}-${key.name}`)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const dataDir = join(directory, 'data')
    const { recovery } = cluster.spec?.bootstrap ?? {}
    // Nothing here reads backups, and a server to look at is better than none.
    const making = recovery ? 'is made EMPTY: there are no backups here to recover it from' : 'is being made'
    deps.progress(`Postgres of ${keyText(key)} ${existsSync(dataDir) ? 'starts' : making}`)
    const superuserPassword = await remembered(join(directory, 'superuser'), () =>
      randomBytes(24).toString('base64url'),
    )
    const port = await portOf(join(directory, 'port'))
    const settings = { ...cluster.spec?.postgresql?.parameters }
    const server = await launchPostgres({ dataDir, port, superuserPassword, settings, logger })
    servers.set(keyText(key), server)
    void server.exited.then((exit) => {
      servers.delete(keyText(key))
      if (stopped) return
      logger.error({ cluster: keyText(key), ...exit }, 'postgres ended')
      deps.again(key)
    })
    return server
  }

  /** The same port in every run, so that a restart changes no Secret and rolls no Deployment. */
  async function portOf(path: string): Promise<number> {
    const before = Number(await readFile(path, 'utf8').catch(() => ''))
    if (before > 0 && (await isFree(before))) return before
    const [port = 0] = await freePorts(1)
    await writeFile(path, String(port), { mode: 0o600 })
    return port
  }

  async function applicationOf(key: ObjectKey, cluster: Cluster): Promise<Application> {
    const { initdb, recovery } = cluster.spec?.bootstrap ?? {}
    const { database = 'app', owner } = initdb ?? recovery ?? {}
    const { postInitApplicationSQL = [] } = initdb ?? {}
    const secret = await client.find(Secret, { ...key, name: `${key.name}-app` })
    const known = secret?.data?.password
    return {
      database,
      user: owner ?? database,
      password: known ? Buffer.from(known, 'base64').toString('utf8') : randomBytes(24).toString('base64url'),
      statements: postInitApplicationSQL,
    }
  }

  /** @returns its resourceVersion */
  async function keepSecret(
    key: ObjectKey,
    cluster: Cluster,
    server: RunningPostgres,
    application: Application,
  ): Promise<string | undefined> {
    const secret = applicationSecret(key, cluster, server.port, application)
    const live = await client.find(Secret, { ...key, name: `${key.name}-app` })
    const kept = live && !differs(secret, live) ? live : await client.apply(Secret, secret, { fieldManager: MANAGER })
    return kept.metadata.resourceVersion
  }

  async function writeStatus(
    key: ObjectKey,
    cluster: Cluster,
    state: { ready: boolean; phase: string; secretVersion?: string | undefined },
  ): Promise<void> {
    const before = cluster.status?.conditions?.find(({ type }) => type === 'Ready')
    const value = state.ready ? 'True' : 'False'
    const instances = cluster.spec?.instances ?? 1
    const names = Array.from({ length: instances }, (_, index) => `${key.name}-${index + 1}`)
    const status = {
      instances,
      readyInstances: state.ready ? instances : 0,
      instanceNames: names,
      currentPrimary: names[0] ?? '',
      targetPrimary: names[0] ?? '',
      phase: state.phase,
      // By this the operator notices another password: nobody watches the Secrets of others.
      secretsResourceVersion: {
        ...cluster.status?.secretsResourceVersion,
        ...(state.secretVersion ? { applicationSecretVersion: state.secretVersion } : {}),
      },
      conditions: [
        {
          type: 'Ready',
          status: value,
          reason: state.ready ? 'ClusterIsReady' : 'ClusterIsNotReady',
          message: state.ready ? 'Cluster is Ready' : 'Cluster Is Not Ready',
          lastTransitionTime: before?.status === value ? before.lastTransitionTime : kubeTime(deps.now()),
        },
      ],
    }
    if (JSON.stringify({ ...cluster.status, ...status }) === JSON.stringify(cluster.status)) return
    await client.mergePatch(CnpgCluster, key, { status }, { subresource: 'status' })
  }

  /** With the Cluster go its volumes. */
  async function remove(key: ObjectKey): Promise<void> {
    const server = servers.get(keyText(key))
    servers.delete(keyText(key))
    await server?.stop()
    await rm(join(deps.directory, `${key.namespace}-${key.name}`), { recursive: true, force: true })
  }

  return {
    reconcile,
    async stop() {
      stopped = true
      await Promise.all([...servers.values()].map((server) => server.stop()))
    },
  }
}

/** Makes role and database where they are missing, and sets the password. */
async function prepareDatabase(server: RunningPostgres, application: Application): Promise<void> {
  const { database, user, password, statements } = application
  const created = await asSuperuser(server.url(), async (client) => {
    const [role, name] = [client.escapeIdentifier(user), client.escapeIdentifier(database)]
    const roles = await client.query('select 1 from pg_roles where rolname = $1', [user])
    if (roles.rowCount === 0) await client.query(`create role ${role} login`)
    await client.query(`alter role ${role} password ${client.escapeLiteral(password)}`)
    const databases = await client.query('select 1 from pg_database where datname = $1', [database])
    if (databases.rowCount === 0) await client.query(`create database ${name} owner ${role}`)
    return databases.rowCount === 0
  })
  if (!created || statements.length === 0) return
  await asSuperuser(server.url(database), async (client) => {
    for (const statement of statements) await client.query(statement)
  })
}

async function asSuperuser<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** All the keys that CloudNativePG writes (docs, "Connecting from an application"). */
function applicationSecret(key: ObjectKey, cluster: Cluster, port: number, application: Application): KubeObject {
  const { user, password, database } = application
  const host = '127.0.0.1'
  const [userPart, passwordPart] = [encodeURIComponent(user), encodeURIComponent(password)]
  const uri = `postgresql://${userPart}:${passwordPart}@${host}:${port}/${database}`
  const jdbc = `jdbc:postgresql://${host}:${port}/${database}?password=${passwordPart}&user=${userPart}`
  const values: Record<string, string> = {
    username: user,
    user,
    password,
    dbname: database,
    host,
    port: String(port),
    pgpass: `${host}:${port}:${database}:${user}:${password}\n`,
    uri,
    'jdbc-uri': jdbc,
    'fqdn-uri': uri,
    'fqdn-jdbc-uri': jdbc,
  }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/basic-auth',
    metadata: {
      name: `${key.name}-app`,
      namespace: key.namespace,
      labels: { 'cnpg.io/cluster': key.name, 'cnpg.io/userType': 'app', 'cnpg.io/reload': 'true' },
      ownerReferences: [
        {
          apiVersion: 'postgresql.cnpg.io/v1',
          kind: 'Cluster',
          name: key.name,
          uid: cluster.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    data: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
    ),
  }
}

/** The text of a file; made and kept when there is none. */
async function remembered(path: string, make: () => string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    const text = make()
    await writeFile(path, text, { mode: 0o600 })
    return text
  }
}
