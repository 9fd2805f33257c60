/** EndpointSlice, NetworkPolicy and Ingress. */
import { isObject } from '../json.ts'
import type { Hooks } from '../registry.ts'
import {
  anything,
  atomic,
  boolean,
  integer,
  intOrString,
  labelSelector,
  labels,
  list,
  oneOf,
  type Schema,
  set,
  string,
  struct,
  topLevel,
  withDefault,
} from '../schema.ts'
import { objectReference } from './events.ts'

export const endpointSlice: Schema = topLevel(
  {
    'addressType!': string,
    endpoints: list(
      struct({
        'addresses!': set(string),
        conditions: struct({ ready: boolean, serving: boolean, terminating: boolean }),
        hostname: string,
        targetRef: objectReference,
        deprecatedTopology: labels,
        nodeName: string,
        zone: string,
        hints: anything,
      }),
    ),
    ports: list(
      struct({
        name: withDefault(string, ''),
        protocol: withDefault(string, 'TCP'),
        port: integer,
        appProtocol: string,
      }),
    ),
  },
  'EndpointSlice represents a set of service endpoints.',
)

const policyPorts = list(struct({ protocol: withDefault(string, 'TCP'), port: intOrString, endPort: integer }))
const policyPeers = list(
  struct({
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: struct({ 'cidr!': string, except: list(string) }),
  }),
)
export const networkPolicy: Schema = topLevel(
  {
    spec: struct({
      podSelector: labelSelector,
      policyTypes: list(string),
      ingress: list(struct({ ports: policyPorts, from: policyPeers })),
      egress: list(struct({ ports: policyPorts, to: policyPeers })),
    }),
  },
  'NetworkPolicy describes what network traffic is allowed for a set of Pods.',
)

export const networkPolicyHooks: Hooks = {
  setDefaults: (object) => {
    if (!isObject(object.spec) || object.spec.policyTypes) return
    object.spec.policyTypes = object.spec.egress ? ['Ingress', 'Egress'] : ['Ingress']
  },
}

const ingressBackend = struct({
  service: struct({ 'name!': string, port: struct({ name: string, number: integer }) }),
  resource: atomic(struct({ apiGroup: string, 'kind!': string, 'name!': string })),
})
export const ingress: Schema = topLevel(
  {
    spec: struct({
      ingressClassName: string,
      defaultBackend: ingressBackend,
      tls: list(struct({ hosts: list(string), secretName: string })),
      rules: list(
        struct({
          host: string,
          http: struct({
            'paths!': list(
              struct({
                path: string,
                'pathType!': oneOf('Exact', 'ImplementationSpecific', 'Prefix'),
                'backend!': ingressBackend,
              }),
            ),
          }),
        }),
      ),
    }),
    status: struct({
      loadBalancer: struct({ ingress: list(struct({ ip: string, hostname: string, ports: list(anything) })) }),
    }),
  },
  'Ingress is a collection of rules that allow inbound connections to reach the endpoints defined by a backend.',
)
