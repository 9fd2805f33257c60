/** The CustomResourceDefinitions of our kinds, made from their zod schemas. */

import type { z } from 'zod'
import type { KubeObject, Resource } from '../kube/types.ts'
import { type CelRule, cel } from './fields.ts'
import { GROUP, MailAccountResource, MailServerResource } from './group.ts'
import { mailAccountSpec, mailAccountStatus } from './mail-account.ts'
import { mailServerSpec } from './mail-server-spec.ts'
import { mailServerStatus } from './mail-server-status.ts'
import { type Schema, structuralSchema } from './structural-schema.ts'

interface Column {
  name: string
  type: 'string' | 'integer' | 'date'
  jsonPath: string
  description?: string
  priority?: number
}

const READY = '.status.conditions[?(@.type=="Ready")]'
const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }

function definition(
  resource: Resource,
  options: {
    shortName: string
    description: string
    spec: z.ZodType
    status: z.ZodType
    columns: Column[]
    scale?: boolean
    rules?: CelRule[]
  },
): KubeObject {
  const status = structuralSchema(options.status)
  // kstatus takes an object without status for finished; this says that nobody has looked at it yet.
  status.default = {
    observedGeneration: -1,
    conditions: [
      {
        type: 'Ready',
        status: 'Unknown',
        reason: 'Pending',
        message: 'Waiting for the operator',
        lastTransitionTime: '1970-01-01T00:00:00Z',
      },
    ],
  }
  const schema: Schema = {
    description: options.description,
    type: 'object',
    required: ['spec'],
    ...(options.rules ? cel(...options.rules) : {}),
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structuralSchema(options.spec),
      status,
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        singular: resource.kind.toLowerCase(),
        shortNames: [options.shortName],
        categories: ['mail'],
      },
      versions: [
        {
          name: resource.version,
          served: true,
          storage: true,
          additionalPrinterColumns: options.columns,
          subresources: {
            status: {},
            ...(options.scale
              ? {
                  scale: {
                    specReplicasPath: '.spec.replicas',
                    statusReplicasPath: '.status.replicas',
                    labelSelectorPath: '.status.selector',
                  },
                }
              : {}),
          },
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  }
}

/** kubectl apply -f crds/: one object per kind. */
export function customResourceDefinitions(): KubeObject[] {
  return [
    definition(MailServerResource, {
      shortName: 'ms',
      description:
        'A complete mail service: SMTP, submission, IMAP and JMAP with database, bucket, certificate and DNS.',
      spec: mailServerSpec,
      status: mailServerStatus,
      scale: true,
      rules: [
        {
          // Its Services are named after it (RFC 1035 label), and so are values of labels.
          rule: "size(self.metadata.name) <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
          message: 'metadata.name must be at most 50 lower-case letters, digits and hyphens, beginning with a letter',
        },
      ],
      columns: [
        { name: 'Ready', type: 'string', jsonPath: `${READY}.status` },
        { name: 'Status', type: 'string', jsonPath: `${READY}.reason`, description: 'Why it is ready or not.' },
        { name: 'Replicas', type: 'integer', jsonPath: '.status.readyReplicas', description: 'Ready engine Pods.' },
        { name: 'DNS', type: 'string', jsonPath: '.status.dns.summary', description: 'Published of wanted records.' },
        { name: 'Version', type: 'string', jsonPath: '.status.version' },
        AGE,
        { name: 'Hostname', type: 'string', jsonPath: '.spec.hostname', priority: 1 },
        { name: 'Address', type: 'string', jsonPath: '.status.addresses[0]', priority: 1 },
        { name: 'Database', type: 'string', jsonPath: '.status.database.name', priority: 1 },
        {
          name: 'Backup',
          type: 'date',
          jsonPath: '.status.database.lastBackup',
          description: 'Age of the last base backup of the database.',
          priority: 1,
        },
        { name: 'Bucket', type: 'string', jsonPath: '.status.storage.bucket', priority: 1 },
        { name: 'Message', type: 'string', jsonPath: `${READY}.message`, priority: 1 },
      ],
    }),
    definition(MailAccountResource, {
      shortName: 'ma',
      description: 'An account of a MailServer in the same namespace.',
      spec: mailAccountSpec,
      status: mailAccountStatus,
      rules: [
        {
          // Names of Secrets have at most 253 characters.
          rule: 'has(self.spec.passwordSecretRef) || size(self.metadata.name) <= 244',
          message: 'metadata.name must be at most 244 characters: its password is kept in Secret <name>-password',
        },
      ],
      columns: [
        { name: 'Address', type: 'string', jsonPath: '.spec.address' },
        { name: 'Server', type: 'string', jsonPath: '.spec.serverRef.name' },
        { name: 'Ready', type: 'string', jsonPath: `${READY}.status` },
        { name: 'Status', type: 'string', jsonPath: `${READY}.reason` },
        { name: 'Usage', type: 'string', jsonPath: '.status.usage' },
        AGE,
        { name: 'Password', type: 'string', jsonPath: '.status.passwordSecretRef.name', priority: 1 },
        { name: 'Message', type: 'string', jsonPath: `${READY}.message`, priority: 1 },
      ],
    }),
  ]
}

/** File name below crds/ of one definition. */
export function fileNameOf(crd: KubeObject): string {
  return `${crd.metadata.name.split('.')[0]}.yaml`
}
