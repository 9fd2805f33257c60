/** The password of a MailAccount: from the user's Secret, or generated once into `<name>-password`. */

import { randomInt } from 'node:crypto'
import { ACCOUNT_LABEL, API_VERSION, MANAGED_BY, MailAccountResource } from '../api/group.ts'
import type { MailAccount, MailAccountSpec } from '../api/mail-account.ts'
import { Secret } from '../kube/resources.ts'
import type { KubeClient, KubeObject, ObjectKey } from '../kube/types.ts'

export interface PasswordDeps {
  client: KubeClient
  /** Generated password Secrets, by watch. */
  passwordSecret(key: ObjectKey): KubeObject | undefined
}

interface SecretKeyRef {
  name: string
  key: string
}
export type Password = { ref: SecretKeyRef; text: string } | { ref: SecretKeyRef; missing: string }

const KEY = 'password'
const ALPHABET = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789' // none that look alike
const LENGTH = 24

/** @throws KubeError */
export async function passwordOf(account: MailAccount, spec: MailAccountSpec, deps: PasswordDeps): Promise<Password> {
  const { namespace = '' } = account.metadata
  if (spec.passwordSecretRef) {
    const { name, key } = spec.passwordSecretRef
    const found = await deps.client.find(Secret, { namespace, name })
    const text = textOf(found, key)
    return text
      ? { ref: { name, key }, text }
      : { ref: { name, key }, missing: `Secret ${name} with key ${key} does not exist` }
  }
  const name = `${account.metadata.name}-password`
  const ref = { name, key: KEY }
  const cached = textOf(deps.passwordSecret({ namespace, name }), KEY)
  if (cached) return { ref, text: cached }
  const existing = await deps.client.find(Secret, { namespace, name })
  const present = textOf(existing, KEY)
  if (present) return { ref, text: present }
  const text = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  const data = { [KEY]: Buffer.from(text).toString('base64') }
  if (existing) await deps.client.mergePatch(Secret, { namespace, name }, { data })
  else await create(account, name, data, deps.client)
  return { ref, text }
}

async function create(
  account: MailAccount,
  name: string,
  data: Record<string, string>,
  client: KubeClient,
): Promise<void> {
  const { namespace = '', uid = '' } = account.metadata
  const owner = { apiVersion: API_VERSION, kind: MailAccountResource.kind, name: account.metadata.name, uid }
  // AlreadyExists goes to the queue: the next look reads what another made.
  await client.create(Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      labels: {
        'app.kubernetes.io/name': 'mail-account',
        'app.kubernetes.io/managed-by': MANAGED_BY,
        [ACCOUNT_LABEL]: labelValue(account.metadata.name),
      },
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    type: 'Opaque',
    data,
  })
}

/** Values of labels have at most 63 characters; the label's presence is what selects. */
const labelValue = (name: string) => name.slice(0, 63).replace(/[^a-z0-9]+$/, '')

function textOf(secret: KubeObject | undefined, key: string): string | undefined {
  const value = secret?.data?.[key]
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8') || undefined
}
