/**
 * A stand-in for CloudNativePG's CustomResourceDefinition: the kind with an open schema, for a cluster without that
 * operator. What it accepts is not checked here; the operator's tests check against the real one.
 */
import type { KubeObject } from '../../kube/types.ts'

const column = (name: string, type: string, jsonPath: string) => ({ name, type, jsonPath })

export const cnpgClusterCrd: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'clusters.postgresql.cnpg.io' },
  spec: {
    group: 'postgresql.cnpg.io',
    scope: 'Namespaced',
    names: { kind: 'Cluster', listKind: 'ClusterList', plural: 'clusters', singular: 'cluster' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'Stand-in for CloudNativePG: one local Postgres.',
            required: ['spec'],
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
        subresources: { status: {} },
        additionalPrinterColumns: [
          column('Age', 'date', '.metadata.creationTimestamp'),
          column('Instances', 'integer', '.status.instances'),
          column('Ready', 'integer', '.status.readyInstances'),
          column('Status', 'string', '.status.phase'),
          column('Primary', 'string', '.status.currentPrimary'),
        ],
      },
    ],
  },
}
