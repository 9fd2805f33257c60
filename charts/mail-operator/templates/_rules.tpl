{{- /* Made by scripts/chart.ts from operator/rbac.ts. Do not edit. */ -}}
{{- define "mail-operator.rules" -}}
- apiGroups:
    - mail.openova.io
  resources:
    - mailservers
    - mailaccounts
  verbs:
    - list
    - watch
    - patch
- apiGroups:
    - mail.openova.io
  resources:
    - mailservers/status
    - mailaccounts/status
  verbs:
    - patch
- apiGroups:
    - mail.openova.io
  resources:
    - mailservers/finalizers
    - mailaccounts/finalizers
  verbs:
    - update
- apiGroups:
    - coordination.k8s.io
  resources:
    - leases
  verbs:
    - get
- apiGroups:
    - ""
  resources:
    - namespaces
  verbs:
    - get
- apiGroups:
    - ""
  resources:
    - secrets
    - configmaps
    - services
    - serviceaccounts
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - apps
  resources:
    - deployments
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - batch
  resources:
    - jobs
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - policy
  resources:
    - poddisruptionbudgets
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - networking.k8s.io
  resources:
    - networkpolicies
    - ingresses
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - autoscaling
  resources:
    - horizontalpodautoscalers
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - discovery.k8s.io
  resources:
    - endpointslices
  verbs:
    - list
    - watch
- apiGroups:
    - events.k8s.io
  resources:
    - events
  verbs:
    - create
    - patch
- apiGroups:
    - postgresql.cnpg.io
  resources:
    - clusters
  verbs:
    - get
    - list
    - watch
    - create
    - patch
- apiGroups:
    - postgresql.cnpg.io
  resources:
    - poolers
    - scheduledbackups
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - barmancloud.cnpg.io
  resources:
    - objectstores
  verbs:
    - get
    - list
    - watch
    - create
    - patch
- apiGroups:
    - cert-manager.io
  resources:
    - certificates
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - cert-manager.io
  resources:
    - certificaterequests
  verbs:
    - list
    - watch
- apiGroups:
    - externaldns.k8s.io
  resources:
    - dnsendpoints
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - monitoring.coreos.com
  resources:
    - podmonitors
    - prometheusrules
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - gateway.networking.k8s.io
  resources:
    - httproutes
    - tcproutes
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - gateway.networking.k8s.io
  resources:
    - gateways
  verbs:
    - list
    - watch
{{- end -}}
{{- define "mail-operator.gatewayRules" -}}
- apiGroups:
    - gateway.networking.k8s.io
  resources:
    - gateways
  verbs:
    - list
    - watch
{{- end -}}
