/** How every file of the node tests begins: with the whole platform there, and a report of it when a step fails. */

import { after, before, test } from 'node:test'
import { isBuilt } from '../cluster-tool.ts'
import { type MailServerUnderTest, mailServerOn } from './mail-server.ts'
import { type Platform, platformOn, report, setUp } from './platform.ts'

export interface NodeSuite {
  /** Steps of a file follow one another. What they were given is there once they run. */
  step(name: string, run: (platform: Platform, server: MailServerUnderTest) => Promise<void>): void
}

export function nodeSuite(): NodeSuite {
  const directory = process.env.NODE_CLUSTER
  const missing = (['helm', 'cnpg', 'minio'] as const).filter((name) => !isBuilt(name))
  const skip = !directory
    ? 'NODE_CLUSTER is not set (npm run test:node)'
    : missing.length > 0
      ? `not built here: ${missing.join(', ')}`
      : false
  if (skip || !directory) {
    console.log(`SKIPPED: node tests: ${skip}`)
    return { step: (name) => void test(name, { skip }, () => {}) }
  }
  const platform = platformOn(directory)
  const server = mailServerOn(platform)
  let failed = false
  const noted = async (run: () => Promise<void>) => {
    try {
      await run()
    } catch (error) {
      failed = true
      throw error
    }
  }
  before(() => noted(() => setUp(platform)))
  after(async () => {
    if (failed) console.error(await report(platform))
  })
  return { step: (name, run) => void test(name, () => noted(() => run(platform, server))) }
}
