/** spec.ingress, spec.gateway: HTTP (JMAP, autoconfig, MTA-STS) and mail through what the cluster already has. */

import { z } from 'zod'
import { metadataMap, objectName } from './fields.ts'

export const ingress = z
  .strictObject({
    className: objectName().optional().meta({ description: 'Default: the cluster’s default IngressClass.' }),
    annotations: metadataMap(64, 4096).optional(),
  })
  .optional()
  .meta({ description: 'An Ingress for the HTTP names of the server, with its certificate.' })

export const gateway = z
  .strictObject({
    name: objectName().meta({ description: 'An existing Gateway of the Gateway API.' }),
    namespace: objectName().optional().meta({ description: 'Default: the MailServer’s own.' }),
    httpSection: objectName()
      .optional()
      .meta({ description: 'Listener of the HTTPRoute; default: every one that fits.' }),
    mail: z.boolean().default(false).meta({
      description:
        'TCPRoutes to the listeners named smtp, smtps, submission and imaps; spec.hostname leads to the Gateway’s addresses. Such a Gateway hides the client’s address unless it speaks the PROXY protocol (spec.service.proxyProtocol).',
    }),
  })
  .optional()
  .meta({ description: 'Routes of the Gateway API.' })
