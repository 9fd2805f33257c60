/**
 * The rights that the operator's code uses, one rule per use: the chart's roles are made from this, and a test runs the
 * operator under exactly them. Namespaced rules may be granted by Roles in the watched namespaces or by a ClusterRole.
 */

export interface PolicyRule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

const WATCH = ['get', 'list', 'watch']
/** Server-side apply is a patch, and a create where the object is missing. */
const OWN = [...WATCH, 'create', 'patch', 'delete']

/** In every watched namespace. */
export const watchedNamespaceRules: readonly PolicyRule[] = [
  // The kinds of ours: finalizers and status by patch.
  { apiGroups: ['mail.openova.io'], resources: ['mailservers', 'mailaccounts'], verbs: [...WATCH, 'patch'] },
  {
    apiGroups: ['mail.openova.io'],
    resources: ['mailservers/status', 'mailaccounts/status'],
    verbs: ['patch'],
  },
  // blockOwnerDeletion (admission plugin OwnerReferencesPermissionEnforcement).
  {
    apiGroups: ['mail.openova.io'],
    resources: ['mailservers/finalizers', 'mailaccounts/finalizers'],
    verbs: ['update'],
  },
  // Watched by label only; get also reads the Secrets that a spec names.
  { apiGroups: [''], resources: ['secrets', 'configmaps', 'services', 'serviceaccounts'], verbs: OWN },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: OWN },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: OWN },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies', 'ingresses'], verbs: OWN },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: OWN },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: WATCH },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  // Kinds of others, used where they are installed.
  { apiGroups: ['postgresql.cnpg.io'], resources: ['clusters', 'scheduledbackups'], verbs: OWN },
  { apiGroups: ['barmancloud.cnpg.io'], resources: ['objectstores'], verbs: OWN },
  { apiGroups: ['cert-manager.io'], resources: ['certificates'], verbs: OWN },
  { apiGroups: ['externaldns.k8s.io'], resources: ['dnsendpoints'], verbs: OWN },
  { apiGroups: ['monitoring.coreos.com'], resources: ['podmonitors', 'prometheusrules'], verbs: OWN },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes', 'tcproutes'], verbs: OWN },
]

/** In the operator's own namespace: the Lease. */
export const ownNamespaceRules: readonly PolicyRule[] = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
]
