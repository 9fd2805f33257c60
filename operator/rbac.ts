/**
 * The rights that the operator's code uses, one rule per use: the chart's roles are made from this, and a test runs the
 * operator under exactly them. Namespaced rules may be granted by Roles in the watched namespaces or by a ClusterRole.
 */

export interface PolicyRule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

const WATCH = ['list', 'watch']
/**
 * Server-side apply is a patch, and a create where the object is missing; get looks for what is not in the cache before it
 * is made. What holds data is only ever deleted by the garbage collector.
 */
const KEPT = ['get', ...WATCH, 'create', 'patch']
const OWN = [...KEPT, 'delete']

/** In the namespaces of Gateways that specs name. */
export const gatewayNamespaceRules: readonly PolicyRule[] = [
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['gateways'], verbs: WATCH },
]

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
  // Whether another operator that looks after a MailServer is there.
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get'] },
  // What cannot be cleaned up in a namespace that is being deleted is not waited for.
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  // Secrets are watched by label only; get also reads those that a spec names.
  { apiGroups: [''], resources: ['secrets', 'configmaps', 'services', 'serviceaccounts'], verbs: OWN },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: OWN },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: OWN },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: OWN },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies', 'ingresses'], verbs: OWN },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: OWN },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: WATCH },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  // Kinds of others, used where they are installed.
  { apiGroups: ['postgresql.cnpg.io'], resources: ['clusters'], verbs: KEPT },
  { apiGroups: ['postgresql.cnpg.io'], resources: ['poolers', 'scheduledbackups'], verbs: OWN },
  { apiGroups: ['barmancloud.cnpg.io'], resources: ['objectstores'], verbs: KEPT },
  { apiGroups: ['cert-manager.io'], resources: ['certificates'], verbs: OWN },
  { apiGroups: ['cert-manager.io'], resources: ['certificaterequests'], verbs: WATCH },
  { apiGroups: ['externaldns.k8s.io'], resources: ['dnsendpoints'], verbs: OWN },
  { apiGroups: ['monitoring.coreos.com'], resources: ['podmonitors', 'prometheusrules'], verbs: OWN },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes', 'tcproutes'], verbs: OWN },
  ...gatewayNamespaceRules,
]

/** In the operator's own namespace: the Lease. */
export const ownNamespaceRules: readonly PolicyRule[] = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
]
