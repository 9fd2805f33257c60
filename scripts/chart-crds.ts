/** Writes the CRDs of crds/ into the Helm chart as templates with the keep policy. Run after `npm run crds`. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '..')
const target = join(repository, 'charts/mail-operator/templates/crds')

/** File name → template. Helm upgrades templates, which it does not do with a chart's own crds/ folder. */
export function crdTemplates(): Map<string, string> {
  const source = join(repository, 'crds')
  const names = readdirSync(source).filter((name) => name.endsWith('.yaml'))
  return new Map(names.map((name) => [name, templateOf(readFileSync(join(source, name), 'utf8'), name)]))
}

function templateOf(crd: string, name: string): string {
  const body = crd
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .trimEnd()
    // Text with braces would be taken for a template's action.
    .replaceAll('{{', '{{ "{{" }}')
  const inserted = body.replace(
    /^metadata:\n(?= {2}name: )/m,
    'metadata:\n' +
      '  {{- if .Values.crds.keep }}\n' +
      '  annotations:\n' +
      '    helm.sh/resource-policy: keep\n' +
      '  {{- end }}\n',
  )
  if (inserted === body) throw new Error(`crds/${name}: metadata.name is not where it was`)
  const header = `{{- /* Made by scripts/chart-crds.ts from crds/${name}. Do not edit. */ -}}\n`
  return `${header}{{- if .Values.crds.enabled }}\n${inserted}\n{{- end }}\n`
}

if (import.meta.main) {
  for (const [name, content] of crdTemplates()) writeFileSync(join(target, name), content)
}
