/** What a server under measurement writes once it is ready: `.local/endpoints.json`'s shape, with `bench` beside it. */
import { readFile } from 'node:fs/promises'

export interface Endpoint {
  host: string
  port: number
}

export interface BenchEndpoints {
  smtp: Endpoint
  imaps: Endpoint
  http: Endpoint | null
  accounts: { address: string; password: string }[]
  caFile: string
  bench: { name: string; cgroup: string | null }
}

export async function readEndpoints(file: string): Promise<BenchEndpoints> {
  return JSON.parse(await readFile(file, 'utf8'))
}
