/**
 * Writes what the Helm chart takes from the code: the CRDs of crds/ as templates with the keep policy, and the
 * operator's rights from operator/rbac.ts. Run it after `npm run crds` and after a change of the rights.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { gatewayNamespaceRules, type PolicyRule, watchedNamespaceRules } from '../operator/rbac.ts'

const repository = join(import.meta.dirname, '..')
const templates = join(repository, 'charts/mail-operator/templates')

/** Path below templates/ → content. */
export function generatedTemplates(): Map<string, string> {
  const source = join(repository, 'crds')
  const files = new Map([['_rules.tpl', rulesTemplate()]])
  for (const name of readdirSync(source).filter((entry) => entry.endsWith('.yaml'))) {
    files.set(`crds/${name}`, crdTemplate(readFileSync(join(source, name), 'utf8'), name))
  }
  return files
}

/** Helm upgrades templates, which it does not do with a chart's own crds/ folder. */
function crdTemplate(crd: string, name: string): string {
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
  const header = `{{- /* Made by scripts/chart.ts from crds/${name}. Do not edit. */ -}}\n`
  return `${header}{{- if .Values.crds.enabled }}\n${inserted}\n{{- end }}\n`
}

/** Named templates, because the same rules go into a ClusterRole or into Roles. */
function rulesTemplate(): string {
  const named = (name: string, rules: readonly PolicyRule[]) => {
    const text = stringify(rules, { lineWidth: 0, aliasDuplicateObjects: false, flowCollectionPadding: false })
    return `{{- define "mail-operator.${name}" -}}\n${text}{{- end -}}\n`
  }
  const header = '{{- /* Made by scripts/chart.ts from operator/rbac.ts. Do not edit. */ -}}\n'
  return `${header}${named('rules', watchedNamespaceRules)}${named('gatewayRules', gatewayNamespaceRules)}`
}

if (import.meta.main) {
  for (const [path, content] of generatedTemplates()) writeFileSync(join(templates, path), content)
}
