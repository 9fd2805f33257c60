/** RBAC, stored and not enforced, and the review that allows all. */
import { equal, isObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  atomic,
  boolean,
  labelSelector,
  list,
  type Schema,
  string,
  struct,
  topLevel,
  withDefault,
} from '../schema.ts'
import { cause } from '../status-errors.ts'

const policyRules = list(
  struct({
    'verbs!': list(string),
    apiGroups: list(string),
    resources: list(string),
    resourceNames: list(string),
    nonResourceURLs: list(string),
  }),
)
export const role: Schema = topLevel({ rules: policyRules }, 'Role is a namespaced, logical grouping of PolicyRules.')
export const clusterRole: Schema = topLevel(
  { rules: policyRules, aggregationRule: struct({ clusterRoleSelectors: list(labelSelector) }) },
  'ClusterRole is a cluster level, logical grouping of PolicyRules.',
)
export const roleBinding: Schema = topLevel(
  {
    subjects: list(atomic(struct({ 'kind!': string, apiGroup: string, 'name!': string, namespace: string }))),
    'roleRef!': atomic(
      struct({ apiGroup: withDefault(string, 'rbac.authorization.k8s.io'), 'kind!': string, 'name!': string }),
    ),
  },
  'A binding references a role, but does not contain it.',
)

export const roleBindingHooks: Hooks = {
  setDefaults: (object) => {
    for (const subject of Array.isArray(object.subjects) ? object.subjects : []) {
      if (isObject(subject) && subject.kind !== 'ServiceAccount') subject.apiGroup ??= 'rbac.authorization.k8s.io'
    }
  },
  validate: (object, old) =>
    old && !equal(object.roleRef, old.roleRef)
      ? [cause.invalid('roleRef', object.roleRef, 'cannot change roleRef')]
      : [],
}

const attributes = struct({
  namespace: string,
  verb: string,
  group: string,
  version: string,
  resource: string,
  subresource: string,
  name: string,
  fieldSelector: anything,
  labelSelector: anything,
})
export const selfSubjectAccessReview: Schema = topLevel(
  {
    spec: struct({ resourceAttributes: attributes, nonResourceAttributes: struct({ path: string, verb: string }) }),
    status: struct({ allowed: boolean, denied: boolean, reason: string, evaluationError: string }),
  },
  'SelfSubjectAccessReview checks whether or the current user can perform an action.',
)
