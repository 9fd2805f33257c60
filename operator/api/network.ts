/** spec.service, spec.tls, spec.dns, spec.outbound: how the world reaches the server and the server the world. */

import { z } from 'zod'
import { cel, cidr, duration, listAtomic, listSet, metadataMap, objectName, port, secretRef } from './fields.ts'
import { isHost, isResolver, trustProblem } from './networks.ts'

const proxyProtocol = z.strictObject({
  trustedNetworks: z
    .array(cidr())
    .min(1)
    .max(64)
    .superRefine((networks, context) => {
      const message = trustProblem(networks)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .meta({
      ...listAtomic,
      ...cel({
        // Whoever may say where a connection comes from may relay: "everybody" is never right.
        rule: "self.all(network, network.contains(':') ? !network.matches('/([0-9]|1[0-5])$') : !network.matches('/[0-7]$'))",
        message: 'the whole address space cannot be trusted: at least /8 for IPv4, /16 for IPv6',
      }),
      description: 'Networks (CIDR) of the load balancers; their connections must begin with a PROXY protocol header.',
    }),
})

export const service = z
  .strictObject({
    type: z.enum(['LoadBalancer', 'NodePort', 'ClusterIP']).default('LoadBalancer'),
    annotations: metadataMap(64, 4096).optional().meta({ description: 'For the load balancer’s controller.' }),
    loadBalancerClass: z.string().min(1).max(253).optional(),
    loadBalancerSourceRanges: z.array(cidr()).max(64).optional().meta(listAtomic),
    externalTrafficPolicy: z.enum(['Local', 'Cluster']).default('Local').meta({
      description: 'Local keeps the client’s address, which SPF, block lists and rate limits judge by.',
    }),
    allocateLoadBalancerNodePorts: z.boolean().optional().meta({
      description:
        'False: no node ports, for load balancers that need none; each Service takes five of a cluster’s 2,768.',
    }),
    https: z.boolean().default(false).meta({
      description:
        'Port 443 too: HTTP with TLS for JMAP, settings of mail programs and the MTA-STS policy, at every name of the server and without an Ingress.',
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
  .meta({ description: 'The Service for SMTP, submission and IMAP, and for HTTPS where that is asked for.' })

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
  .regex(
    /^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}(:[1-9][0-9]{0,4})?|\[[0-9a-fA-F:.]+\](:[1-9][0-9]{0,4})?|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]+)$/,
  )
  .refine(isResolver, 'must be an address with or without a port, like 192.0.2.53:53 or [2001:db8::1]:53')

const caa = z.strictObject({
  issuers: z
    .array(
      z
        .string()
        .min(1)
        .max(255)
        // RFC 8659 §4.2: a domain of the issuer, then parameters (RFC 8657: accounturi, validationmethods).
        .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+( *; *[a-zA-Z0-9-]+=[!#-:<-[\]-~]+)*$/),
    )
    .min(1)
    .max(8)
    .meta({
      ...listSet,
      description: 'Who may issue certificates, e.g. letsencrypt.org; that of spec.tls.issuerRef must be among them.',
    }),
  iodef: z
    .string()
    .max(255)
    .regex(/^(mailto:[^\s"\\]+@[^\s"\\]+|https?:\/\/[^\s"\\]+)$/)
    .optional()
    .meta({ description: 'Where issuers report requests that they refused.' }),
})

export const dns = z
  .strictObject({
    publish: z.enum(['None', 'ExternalDNS']).default('None').meta({
      description: 'ExternalDNS: a DNSEndpoint for external-dns. None: publish what status.dns lists by hand.',
    }),
    externalDNS: z
      .strictObject({
        texts: z.enum(['Quoted', 'Plain']).default('Quoted').meta({
          description:
            'How the DNSEndpoint has the values of TXT records: in the quotes of a zone file, which most providers of external-dns pass on as they are, or without, for those that do not read them (azure).',
        }),
      })
      .prefault({})
      .meta({ description: 'With publish: ExternalDNS.' }),
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
    caa: caa.optional().meta({
      description: 'CAA records (RFC 8659) at the names of the server’s certificate. Default: none.',
    }),
    tlsa: z
      .strictObject({ enabled: z.boolean().default(false) })
      .prefault({})
      .meta({
        description:
          'DANE (RFC 7672): a TLSA record of the certificate’s key for port 25, which then stays over renewals. Needs DNSSEC.',
      }),
  })
  .prefault({})
  .meta({ description: 'The DNS records of the domains.' })

const relay = z.strictObject({
  host: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9.:-]+$/)
    .refine(isHost, 'must be a host name or an address'),
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
      .array(duration('1s', '168h'))
      .min(1)
      .max(20)
      .default(['1m', '5m', '15m', '1h', '4h'])
      .meta({ ...listAtomic, description: 'Before the 2nd, 3rd, … attempt; the last one repeats.' }),
    expire: duration('1m').default('120h').meta({ description: 'Given up, and told to the sender, after this.' }),
  })
  .prefault({})
  .meta({ description: 'Delivery to other servers.' })
