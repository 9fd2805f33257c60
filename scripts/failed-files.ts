/**
 * A reporter for `node --test`: the files that failed, one per line (https://nodejs.org/api/test.html#custom-reporters). The
 * place of a failed test is no answer: it may lie in a file that the test file imports.
 */

import type { TestEvent } from 'node:test/reporters'

export default async function* failedFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const told = new Set<string>()
  for await (const { type, data } of events) {
    // A file that ends without a summary of its own fails as a test whose name it is.
    const crashed = type === 'test:fail' && data.nesting === 0 && data.file?.endsWith(data.name) ? data.file : undefined
    const file = type === 'test:summary' && !data.success ? data.file : crashed
    if (!file || told.has(file)) continue
    told.add(file)
    yield `${file}\n`
  }
}
