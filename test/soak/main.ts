/**
 * `npm run soak -- NAME [flags]`: what takes minutes and is measured, so that it is no part of `npm test`. Each soak is a
 * file here with `export default async function (args: readonly string[])`, which prints its figures and throws where
 * they are not what was promised.
 */

import { readdirSync } from 'node:fs'
import { parse } from 'node:path'

const [name = '', ...args] = process.argv.slice(2)
const soaks = new Map<string, Soak>()
for (const file of readdirSync(import.meta.dirname)) {
  if (!file.endsWith('.ts') || file === 'main.ts') continue
  // Files without one are parts of soaks.
  const { default: soak } = (await import(`./${file}`)) as { default?: Soak }
  if (soak) soaks.set(parse(file).name, soak)
}

const soak = soaks.get(name)
if (soak) {
  await soak(args)
} else {
  process.stderr.write(`usage: npm run soak -- ${[...soaks.keys()].join(' | ')}\n`)
  process.exitCode = 2
}

type Soak = (args: readonly string[]) => Promise<void>
