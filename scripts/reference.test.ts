import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { referencePages } from './reference.ts'

const pages = referencePages()

for (const [name, content] of pages) {
  test(`docs/reference/${name} is what npm run crds writes`, () => {
    const written = readFileSync(new URL(`../docs/reference/${name}`, import.meta.url), 'utf8')
    assert.equal(written, `${content}\n`, 'run npm run crds')
  })
}

const mailServer = pages.get('mailserver.md') ?? ''

for (const [what, line] of [
  ['a default and bounds', /^\| `spec\.replicas` \| integer \| `2` \| 0 to 100 \| Engine Pods\./m],
  ['a required field', /^\| `spec\.hostname` \| string \| required \| 3 to 253 characters/m],
  ['an enumeration', /^\| `spec\.deletionPolicy` \| string \| `"Retain"` \| `Retain`, `Delete` \|/m],
  ['a field in a list', /^\| `spec\.domains\[\]\.dmarc\.policy` \| string \| `"reject"` \|/m],
  ['a quantity', /^\| `spec\.database\.cnpg\.storage\.size` \| quantity \| `"20Gi"` \|/m],
  ['a map', /^\| `spec\.pod\.labels` \| map of string \|/m],
  [
    'a CEL rule with its message',
    /^\| `spec\.storage\.s3` \| bucket is immutable \| `self\.bucket == oldSelf\.bucket` \|/m,
  ],
  ['a field of the status', /^\| `status\.dns\.records\[\]\.state` \| string \| required \|/m],
] as const) {
  test(`the page of MailServer has ${what}`, () => assert.match(mailServer, line))
}

test('a pipe inside a pattern does not end its cell', () => {
  for (const line of mailServer.split('\n').filter((text) => text.startsWith('| `spec'))) {
    assert.ok([5, 3].includes(line.split(/(?<!\\)\|/).length - 2), line)
  }
})
