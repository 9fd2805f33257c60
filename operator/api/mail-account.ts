/** The MailAccount kind: one account of a MailServer in the same namespace. */

import { z } from 'zod'
import type { KubeObject } from '../kube/types.ts'
import { byteQuantity, cel, conditions, listSet, mailAddress, objectName, secretKeyRef } from './fields.ts'
import { parseSpec } from './invalid-spec.ts'

export const mailAccountSpec = z
  .strictObject({
    serverRef: z
      .strictObject({ name: objectName() })
      .meta({ ...cel({ rule: 'self == oldSelf', message: 'serverRef is immutable' }), description: 'The MailServer.' }),
    address: mailAddress({
      rule: 'self == oldSelf',
      message: 'address is immutable: make another account, or add an alias',
    }).meta({ description: 'Primary address and login name.' }),
    aliases: z
      .array(mailAddress())
      .max(256)
      .default([])
      .meta({ ...listSet, description: 'More addresses of the account.' }),
    displayName: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'Name of the person. JMAP clients write it into From.' }),
    quota: byteQuantity('1', '1Pi')
      .optional()
      .meta({ description: 'Mail that may be kept, e.g. 5Gi. Default: no limit.' }),
    passwordSecretRef: secretKeyRef('password').optional().meta({
      description: 'The password. Without it one is generated in Secret `<name>-password` and named in status.',
    }),
    disabled: z.boolean().default(false).meta({ description: 'No login; mail is still received.' }),
    // No default: a field that the API server fills in could not be told from one that somebody asked for.
    deletionPolicy: z.enum(['Retain', 'Delete']).optional().meta({
      description:
        'What becomes of the account when the MailAccount is deleted. Retain lets nobody log in any more, frees the aliases and keeps the mail for a MailAccount of the same address. Delete removes the account with its mail. Default: the MailServer’s deletionPolicy.',
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

/** @throws InvalidSpec */
export const parseMailAccountSpec = (spec: unknown): MailAccountSpec => parseSpec(mailAccountSpec, spec)

export type MailAccountSpec = z.output<typeof mailAccountSpec>
export type MailAccountStatus = z.output<typeof mailAccountStatus>
export type MailAccount = KubeObject<MailAccountSpec, MailAccountStatus> & { spec: MailAccountSpec }
