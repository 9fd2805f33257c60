/** A CRD of the tests' own, one of a kind for each test file, with something of all that schemas can say. */
import { randomBytes } from 'node:crypto'
import type { JsonObject } from '../json.ts'

export function widgetCrd(): { group: string; crd: JsonObject } {
  const group = `g${randomBytes(4).toString('hex')}.example.org`
  const condition = {
    type: 'object',
    required: ['type', 'status'],
    properties: {
      type: { type: 'string' },
      status: { type: 'string' },
      lastTransitionTime: { type: 'string', format: 'date-time' },
    },
  }
  const spec = {
    type: 'object',
    required: ['hostname'],
    properties: {
      hostname: {
        type: 'string',
        pattern: '^[a-z.]+$',
        maxLength: 20,
        'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'hostname is immutable' }],
      },
      replicas: { type: 'integer', format: 'int32', minimum: 0, maximum: 10, default: 2 },
      mode: { type: 'string', enum: ['Fast', 'Safe'], default: 'Safe' },
      domains: {
        type: 'array',
        maxItems: 3,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: { type: 'string', maxLength: 20 },
            policy: { type: 'string', default: 'reject' },
            note: { type: 'string', nullable: true },
          },
        },
      },
      tags: { type: 'array', maxItems: 5, 'x-kubernetes-list-type': 'set', items: { type: 'string', maxLength: 10 } },
      hosts: { type: 'array', items: { type: 'string' } },
      port: { 'x-kubernetes-int-or-string': true },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      ref: {
        type: 'object',
        'x-kubernetes-map-type': 'atomic',
        properties: { name: { type: 'string' }, key: { type: 'string' } },
      },
      min: { type: 'integer' },
      max: { type: 'integer' },
      either: {
        type: 'object',
        properties: { a: { type: 'string' }, b: { type: 'string' } },
        oneOf: [{ required: ['a'] }, { required: ['b'] }],
      },
    },
    'x-kubernetes-validations': [
      {
        rule: '!has(self.min) || !has(self.max) || self.min <= self.max',
        messageExpression: "'min %d is above max %d'.format([self.min, self.max])",
        fieldPath: '.min',
        reason: 'FieldValueForbidden',
      },
      {
        rule: '!has(self.domains) || self.domains.all(d, d.name != self.hostname)',
        message: 'a domain may not be the hostname',
      },
      { rule: "!has(self.tags) || self.tags.all(t, t.matches('^[a-z]+$'))" },
    ],
  }
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wg'], categories: ['gadgets'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: 'A widget.',
              required: ['spec'],
              properties: {
                spec,
                status: {
                  type: 'object',
                  default: { phase: 'Unknown' },
                  properties: {
                    phase: { type: 'string' },
                    replicas: { type: 'integer' },
                    selector: { type: 'string' },
                    conditions: {
                      type: 'array',
                      'x-kubernetes-list-type': 'map',
                      'x-kubernetes-list-map-keys': ['type'],
                      items: condition,
                    },
                  },
                },
              },
            },
          },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: [
            { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
            { name: 'Host', type: 'string', jsonPath: '.spec.hostname', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  }
  return { group, crd }
}
