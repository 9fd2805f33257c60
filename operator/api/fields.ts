/** Building blocks of the schemas: bounded strings and numbers, and CEL rules beside the fields they guard. */

import { z } from 'zod'
import { quantityNanos } from '../kube/quantity.ts'
import { durationMs } from './duration.ts'
import { GROUP } from './group.ts'
import { isEndpoint, networkOf } from './networks.ts'

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
/** The last label begins with a letter (RFC 3696 §2), so that no IPv4 address passes for a name. */
const DOMAIN = `(${LABEL}\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?`
const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"

/** Lower-case A-labels with at least one dot and without a trailing one (RFC 1035 §2.3.1, RFC 5890). */
export const domainName = () =>
  z
    .string()
    .min(3)
    .max(253)
    .regex(new RegExp(`^${DOMAIN}$`))

/** Name of an object in the same namespace. */
export const objectName = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/)

const IMAGE_HOST = '[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?'
const IMAGE_PATH = '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*'
const IMAGE_TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'
const IMAGE_DIGEST = '[a-z0-9]+:[0-9a-f]{32,}'

/**
 * Of a container image, with a tag, a digest or both (github.com/distribution/reference). What no runtime could read is
 * refused at once, and not by a Pod of state InvalidImageName; whether there is such an image is for the kubelet to say.
 */
export const imageReference = () =>
  z
    .string()
    .min(1)
    .max(512)
    .regex(new RegExp(`^(${IMAGE_HOST}/)?${IMAGE_PATH}(/${IMAGE_PATH})*(:${IMAGE_TAG})?(@${IMAGE_DIGEST})?$`))

/** Key in a Secret's data. */
export const secretKey = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)

/** Address of a mailbox: local part (unquoted dot-string, RFC 5321 §4.1.2) and domain. */
export const mailAddress = (...rules: CelRule[]) =>
  z
    .string()
    .min(3)
    .max(254)
    .regex(new RegExp(`^${ATOM}(\\.${ATOM})*@${DOMAIN}$`))
    .meta(
      cel(
        // RFC 5321 §4.5.3.1.1
        { rule: "self.indexOf('@') <= 64", message: 'at most 64 characters before the @' },
        {
          rule: "!self.startsWith('*@')",
          message: 'no pattern; mail to the unknown names of a domain: spec.domains[].catchAll of the MailServer',
        },
        ...rules,
      ),
    )

/** Go duration, from `min` to `max`: "90s", "1h30m", "2160h". */
export const duration = (min = '0s', max = '8760h', pattern = /^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/) => {
  const message = `must be from ${min} to ${max}`
  const isWithin = (text: string) => {
    const ms = durationMs(text)
    return ms !== undefined && ms >= (durationMs(min) ?? 0) && ms <= (durationMs(max) ?? 0)
  }
  const rule = `duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`
  return z.string().max(32).regex(pattern).refine(isWithin, message).meta(cel({ rule, message }))
}

/** Kubernetes quantity that is not negative: number or text. */
export const quantity = () =>
  z
    .union([z.int(), z.string().max(32)])
    .refine((value) => (quantityNanos(value) ?? -1n) >= 0n, 'must be a quantity that is not negative, like 500m or 5Gi')
    .meta({ 'x-kubernetes-int-or-string': true, quantity: true })

/** Quantity of bytes, from `min` to `max`: a unit that was forgotten is noticed at once. */
export const byteQuantity = (min: string, max: string) => {
  const message = `must be from ${min} to ${max}`
  const [least = 0n, most = 0n] = [quantityNanos(min), quantityNanos(max)]
  const isWithin = (value: string | number) => {
    const nanos = quantityNanos(value)
    return nanos !== undefined && nanos >= least && nanos <= most
  }
  const amount = 'quantity(type(self) == string ? self : string(self))'
  const rule = `${amount}.compareTo(quantity('${min}')) >= 0 && ${amount}.compareTo(quantity('${max}')) <= 0`
  return quantity().refine(isWithin, message).meta(cel({ rule, message }))
}

export const port = () => z.int().min(1).max(65535)

/** "192.0.2.0/24", "2001:db8::/32". */
export const cidr = () =>
  z
    .string()
    .max(43)
    .regex(/^[0-9a-fA-F:.]+\/(0|[1-9][0-9]{0,2})$/)
    .refine((text) => networkOf(text) !== undefined, 'must be a network like 192.0.2.0/24 or 2001:db8::/32')

/** http(s) URL with host and optional port, no path. */
export const endpointUrl = () =>
  z
    .string()
    .max(512)
    .regex(/^https?:\/\/[A-Za-z0-9.:[\]-]+\/?$/)
    .refine(isEndpoint, 'must be http(s)://host[:port]')

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

/** Labels or annotations for an object of ours, beside those by which the operator knows it again. */
export const metadataMap = (max: number, length: number) =>
  stringMap(max, length).refine(
    (map) => !Object.keys(map).some((key) => key.startsWith(`${GROUP}/`)),
    `keys under ${GROUP}/ are the operator’s own`,
  )

/** Requests and limits, as in a container. */
export const resources = () =>
  z.strictObject({
    requests: z.record(z.string(), quantity()).meta({ maxProperties: 16 }).optional(),
    limits: z.record(z.string(), quantity()).meta({ maxProperties: 16 }).optional(),
  })

/** Of Pods, as in core/v1. */
export const tolerations = () =>
  z
    .array(
      z.strictObject({
        key: z.string().max(316).optional(),
        operator: z.enum(['Exists', 'Equal']).optional(),
        value: z.string().max(63).optional(),
        effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
        tolerationSeconds: z.int().optional(),
      }),
    )
    .max(32)
    .meta(listAtomic)

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
