/**
 * Writes what deploy/kustomize/ takes from the code: the CRDs, because kustomize reads no file outside of its folder, and
 * the operator's rights from operator/rbac.ts. Part of `npm run crds`; test/chart/kustomize.test.ts holds them in step.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type PolicyRule, watchedNamespaceRules } from '../operator/rbac.ts'

const repository = join(import.meta.dirname, '..')
const target = join(repository, 'deploy/kustomize')
const NAME = 'mail-operator'
const RBAC = 'rbac.authorization.k8s.io'
const LABELS = {
  'app.kubernetes.io/name': NAME,
  'app.kubernetes.io/instance': NAME,
  'app.kubernetes.io/component': 'operator',
}

/** Path below deploy/kustomize/ → content. */
export function generatedManifests(): Map<string, string> {
  const crds = readdirSync(join(repository, 'crds')).filter((name) => name.endsWith('.yaml'))
  return new Map([
    ['rbac.yaml', rbac()],
    ...crds.map((name) => [`crds/${name}`, readFileSync(join(repository, 'crds', name), 'utf8')] as const),
  ])
}

/** With namespaces, so that kustomize sees which account a subject is, and moves both to another. */
function rbac(): string {
  const metadata = (kind: 'Role' | 'ClusterRole', name: string, labels = {}) => ({
    name,
    ...(kind === 'Role' ? { namespace: NAME } : {}),
    labels: { ...LABELS, ...labels },
  })
  const role = (kind: 'Role' | 'ClusterRole', name: string, rules: readonly PolicyRule[], labels = {}) => ({
    apiVersion: `${RBAC}/v1`,
    kind,
    metadata: metadata(kind, name, labels),
    rules,
  })
  const binding = (kind: 'Role' | 'ClusterRole', name: string) => ({
    apiVersion: `${RBAC}/v1`,
    kind: `${kind}Binding`,
    metadata: metadata(kind, name),
    roleRef: { apiGroup: RBAC, kind, name },
    subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: NAME }],
  })
  const aggregate = (...to: string[]) => Object.fromEntries(to.map((name) => [`${RBAC}/aggregate-to-${name}`, 'true']))
  const group = { apiGroups: ['mail.openova.io'] }
  const lease = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] }
  const objects = [
    role('ClusterRole', NAME, watchedNamespaceRules),
    binding('ClusterRole', NAME),
    role('Role', `${NAME}-leader-election`, [
      { ...lease, verbs: ['create'] },
      { ...lease, resourceNames: [NAME], verbs: ['get', 'update'] },
    ] as PolicyRule[]),
    binding('Role', `${NAME}-leader-election`),
    role(
      'ClusterRole',
      `${NAME}-edit`,
      [
        {
          ...group,
          resources: ['mailservers', 'mailservers/scale', 'mailaccounts'],
          verbs: ['create', 'delete', 'deletecollection', 'patch', 'update'],
        },
      ],
      aggregate('admin', 'edit'),
    ),
    role(
      'ClusterRole',
      `${NAME}-view`,
      [
        {
          ...group,
          resources: ['mailservers', 'mailservers/status', 'mailservers/scale', 'mailaccounts', 'mailaccounts/status'],
          verbs: ['get', 'list', 'watch'],
        },
      ],
      aggregate('admin', 'edit', 'view'),
    ),
  ]
  const yaml = objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
  return `# Made by scripts/kustomize.ts from operator/rbac.ts. Do not edit.\n${yaml.join('---\n')}`
}

if (import.meta.main) {
  for (const [path, content] of generatedManifests()) writeFileSync(join(target, path), content)
}
