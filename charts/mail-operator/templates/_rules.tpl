{{- /* Made by scripts/chart.ts from operator/rbac.ts. Do not edit. */ -}}
{{- define "mail-operator.rules" -}}
- apiGroups:
    - mail.openova.io
  resources:
    - mailservers
    - mailaccounts
  verbs:
    - get
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
    - get
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
    - delete
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
{{- end -}}
