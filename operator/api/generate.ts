/** `npm run crds`: writes the CRDs into crds/, from where kubectl, the chart and the local API take them. */

import { writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import { customResourceDefinitions, fileNameOf } from './crds.ts'

const HEADER = '# Made by `npm run crds` from operator/api/. Do not edit.\n'

/** File name → content, for the generator and the test that holds both in step. */
export function crdFiles(): Map<string, string> {
  return new Map(
    customResourceDefinitions().map((crd) => [
      fileNameOf(crd),
      HEADER + stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false }),
    ]),
  )
}

if (import.meta.main) {
  for (const [name, content] of crdFiles()) {
    await writeFile(new URL(`../../crds/${name}`, import.meta.url), content)
  }
}
