/** The MailAccount kind: one account of a MailServer in the same namespace. */

import { z } from 'zod'
import type { KubeObject } from '../kube/types.ts'
import { cel, conditions, listSet, mailAddress, objectName, quantity, secretKeyRef } from './fields.ts'

export const mailAccountSpec = z
  .strictObject({
    serverRef: z
      .strictObject({ name: objectName() })
      .meta({ ...cel({ rule: 'self == oldSelf', message: 'serverRef is immutable' }), description: 'The MailServer.' }),
    address: mailAddress().meta({
      ...cel({ rule: 'self == oldSelf', message: 'address is immutable: make another account, or add an alias' }),
      description: 'Primary address and login name.',
    }),
    aliases: z
      .array(mailAddress())
      .max(256)
      .default([])
      .meta({ ...listSet, description: 'More addresses of the account.' }),
    displayName: z.string().max(256).optional(),
    quota: quantity().optional().meta({ description: 'Mail that may be kept, e.g. 5Gi. Default: no limit.' }),
    passwordSecretRef: secretKeyRef('password').optional().meta({
      description: 'The password. Without it one is generated in Secret `<name>-password` and named in status.',
    }),
    disabled: z.boolean().default(false).meta({ description: 'No login; mail is still received.' }),
    deletionPolicy: z.enum(['Retain', 'Delete']).default('Delete').meta({
      description: 'Delete removes the account with its mail from the server when the MailAccount is deleted.',
    }),
  })
  .meta(
    cel({
      rule: '!self.aliases.exists(alias, alias == self.address)',
      message: 'the address itself cannot be an alias',
      fieldPath: '.aliases',
    }),
  )
  .meta({ description: 'What the account should be.' })

export const mailAccountStatus = z
  .strictObject({
    observedGeneration: z.int().min(-1).optional(),
    conditions: conditions().optional(),
    address: z.string().max(254).optional(),
    passwordSecretRef: z
      .strictObject({ name: z.string().max(253), key: z.string().max(253) })
      .optional()
      .meta({ description: 'Where the password is.' }),
    usedBytes: z.int().min(0).optional(),
    usage: z.string().max(32).optional().meta({ description: 'Used share of the quota, or used bytes, for reading.' }),
    appliedHash: z.string().max(64).optional().meta({ description: 'Keyed hash of what the engine was told last.' }),
  })
  .meta({ description: 'What the engine says of it.' })

export type MailAccountSpec = z.output<typeof mailAccountSpec>
export type MailAccountStatus = z.output<typeof mailAccountStatus>
export type MailAccount = KubeObject<MailAccountSpec, MailAccountStatus> & { spec: MailAccountSpec }
