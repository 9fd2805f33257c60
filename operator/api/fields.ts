/** Building blocks of the schemas: bounded strings and numbers, and CEL rules beside the fields they guard. */

import { z } from 'zod'

/** One rule of x-kubernetes-validations. CEL's cost is estimated from the bounds, so everything here has bounds. */
export interface CelRule {
  rule: string
  message: string
  fieldPath?: string
}

/** Schema extensions that pass through z.toJSONSchema into the CRD as they are. */
export const cel = (...rules: CelRule[]) => ({ 'x-kubernetes-validations': rules })
export const listMap = (...keys: string[]) => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': keys,
})
export const listSet = { 'x-kubernetes-list-type': 'set' }
export const listAtomic = { 'x-kubernetes-list-type': 'atomic' }

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'

/** Lower-case A-labels with at least one dot and without a trailing one (RFC 1035 §2.3.1, RFC 5890). */
export const domainName = () =>
  z
    .string()
    .min(3)
    .max(253)
    .regex(new RegExp(`^${LABEL}(\\.${LABEL})+$`))

/** Name of an object in the same namespace. */
export const objectName = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/)

/** Key in a Secret's data. */
export const secretKey = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)

/** Address of a mailbox: local part (unquoted dot-string, RFC 5321 §4.1.2) and domain. */
export const mailAddress = () =>
  z
    .string()
    .min(3)
    .max(254)
    .regex(new RegExp(`^[a-z0-9!#$%&'*+/=?^_\`{|}~.-]{1,64}@${LABEL}(\\.${LABEL})*$`))

/** Go duration: "90s", "1h30m", "2160h". */
export const duration = () =>
  z
    .string()
    .max(32)
    .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/)

/** Kubernetes quantity: number or text. */
export const quantity = () =>
  z.union([z.int(), z.string().max(32)]).meta({ 'x-kubernetes-int-or-string': true, quantity: true })

export const port = () => z.int().min(1).max(65535)

/** "192.0.2.0/24", "2001:db8::/32". */
export const cidr = () =>
  z
    .string()
    .max(43)
    .regex(/^[0-9a-fA-F:.]+\/[0-9]{1,3}$/)

/** http(s) URL with host and optional port, no path. */
export const endpointUrl = () =>
  z
    .string()
    .max(512)
    .regex(/^https?:\/\/[A-Za-z0-9.:[\]-]+\/?$/)

/** "mailto:" or "https:" URI of a report receiver. */
export const reportUri = () =>
  z
    .string()
    .max(512)
    .regex(/^(mailto:[^,;\s]+@[^,;\s]+|https:\/\/[^,;\s]+)$/)

export const secretRef = () => z.strictObject({ name: objectName().meta({ description: 'Name of the Secret.' }) })
export const secretKeyRef = (key: string) =>
  z.strictObject({
    name: objectName().meta({ description: 'Name of the Secret.' }),
    key: secretKey().default(key).meta({ description: 'Key in the Secret.' }),
  })

export const stringMap = (max: number, length = 1024) =>
  z.record(z.string(), z.string().max(length)).meta({ maxProperties: max })

/** Requests and limits, as in a container. */
export const resources = () =>
  z.strictObject({
    requests: z.record(z.string(), quantity()).meta({ maxProperties: 16 }).optional(),
    limits: z.record(z.string(), quantity()).meta({ maxProperties: 16 }).optional(),
  })

/** metav1.Condition. */
export const conditions = () =>
  z
    .array(
      z.strictObject({
        type: z.string().max(316),
        status: z.enum(['True', 'False', 'Unknown']),
        reason: z.string().max(1024),
        message: z.string().max(32768),
        observedGeneration: z.int().min(0).optional(),
        lastTransitionTime: z.string().meta({ format: 'date-time' }),
      }),
    )
    .max(32)
    .meta({
      ...listMap('type'),
      description: 'What is well, what is not and why. Types are API; reasons are for reading.',
    })
