/** spec.service, spec.tls, spec.dns, spec.outbound: how the world reaches the server and the server the world. */

import { z } from 'zod'
import { cel, cidr, duration, listAtomic, objectName, port, secretRef, stringMap } from './fields.ts'

const proxyProtocol = z.strictObject({
  trustedNetworks: z
    .array(cidr())
    .min(1)
    .max(64)
    .meta({
      ...listAtomic,
      ...cel({
        // Whoever may say where a connection comes from may relay: "everybody" is never right.
        rule: "self.all(network, !network.endsWith('/0'))",
        message: 'the whole address space cannot be trusted',
      }),
      description: 'Networks (CIDR) of the load balancers; their connections must begin with a PROXY protocol header.',
    }),
})

export const service = z
  .strictObject({
    type: z.enum(['LoadBalancer', 'NodePort', 'ClusterIP']).default('LoadBalancer'),
    annotations: stringMap(64, 4096).optional().meta({ description: 'For the load balancer’s controller.' }),
    loadBalancerClass: z.string().min(1).max(253).optional(),
    loadBalancerSourceRanges: z.array(cidr()).max(64).optional().meta(listAtomic),
    externalTrafficPolicy: z.enum(['Local', 'Cluster']).default('Local').meta({
      description: 'Local keeps the client’s address, which SPF, block lists and rate limits judge by.',
    }),
    ipFamilyPolicy: z.enum(['SingleStack', 'PreferDualStack', 'RequireDualStack']).optional(),
    proxyProtocol: proxyProtocol.optional().meta({ description: 'For load balancers that hide the client’s address.' }),
  })
  .meta(
    cel({
      rule: "self.type == 'LoadBalancer' || !has(self.loadBalancerClass)",
      message: 'loadBalancerClass needs type LoadBalancer',
    }),
  )
  .prefault({})
  .meta({ description: 'The Service for SMTP, submission and IMAP.' })

export const tls = z
  .strictObject({
    issuerRef: z
      .strictObject({
        name: objectName(),
        kind: z.string().min(1).max(63).default('Issuer').meta({ description: 'Issuer or ClusterIssuer.' }),
        group: z.string().max(253).default('cert-manager.io'),
      })
      .optional()
      .meta({ description: 'cert-manager issuer of the certificate for every name of the server.' }),
    secretName: objectName().optional().meta({ description: 'An existing kubernetes.io/tls Secret.' }),
  })
  .meta(
    cel({
      rule: '!(has(self.issuerRef) && has(self.secretName))',
      message: 'at most one of issuerRef and secretName may be given',
    }),
  )
  .prefault({})
  .meta({ description: 'The server’s certificate. Without either, the operator signs one with a CA of its own.' })

const resolver = z
  .string()
  .max(64)
  .regex(/^([0-9.]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?|[0-9a-fA-F:]*:[0-9a-fA-F:]+)$/)

export const dns = z
  .strictObject({
    publish: z.enum(['None', 'ExternalDNS']).default('None').meta({
      description: 'ExternalDNS: a DNSEndpoint for external-dns. None: publish what status.dns lists by hand.',
    }),
    verify: z
      .boolean()
      .default(true)
      .meta({ description: 'Look the records up and tell in status.dns what was found.' }),
    resolvers: z
      .array(resolver)
      .max(8)
      .default([])
      .meta({
        ...listAtomic,
        description: 'Resolvers of operator and engine, "address" or "address:port"; default: the system’s.',
      }),
    ttlSeconds: z.int().min(30).max(604_800).default(3600).meta({ description: 'TTL of published records.' }),
    spfMechanisms: z
      .array(
        z
          .string()
          .max(255)
          .regex(/^[+?~-]?(a|mx|ip4|ip6|include|exists)([:/][A-Za-z0-9.:/_%{}-]+)?$/),
      )
      .max(8)
      .default([])
      .meta({
        ...listAtomic,
        description: 'More SPF mechanisms, e.g. ip4:192.0.2.7 where Pods leave the cluster with another address.',
      }),
    mtaSts: z.enum(['none', 'testing', 'enforce']).default('enforce').meta({
      description: 'Mode of the MTA-STS policy (RFC 8461) that is announced and served; none announces nothing.',
    }),
  })
  .prefault({})
  .meta({ description: 'The DNS records of the domains.' })

const relay = z.strictObject({
  host: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9.:-]+$/),
  port: port().default(587),
  tls: z.enum(['starttls', 'implicit', 'opportunistic', 'none']).default('starttls'),
  credentialsSecretRef: secretRef().optional().meta({ description: 'Secret with the keys username and password.' }),
})

export const outbound = z
  .strictObject({
    relay: relay.optional().meta({ description: 'All foreign mail goes here instead of to the MX hosts.' }),
    mxPort: port().default(25).meta({ description: 'Port of the MX hosts; other than 25 only in tests.' }),
    allowPrivateAddresses: z.boolean().default(false).meta({
      description:
        'Deliver to MX hosts with loopback and private addresses. Off, nobody’s MX record reaches into the cluster.',
    }),
    concurrency: z.int().min(1).max(1000).default(20).meta({ description: 'Deliveries at once per replica.' }),
    retryDelays: z
      .array(duration())
      .min(1)
      .max(20)
      .default(['1m', '5m', '15m', '1h', '4h'])
      .meta({ ...listAtomic, description: 'Before the 2nd, 3rd, … attempt; the last one repeats.' }),
    expire: duration().default('120h').meta({ description: 'Given up, and told to the sender, after this.' }),
  })
  .prefault({})
  .meta({ description: 'Delivery to other servers.' })
