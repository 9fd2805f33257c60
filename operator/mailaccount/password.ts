/** The password of a MailAccount: from the user's Secret, or generated once into `<name>-password`. */

import { randomInt } from 'node:crypto'
import { ACCOUNT_LABEL, API_VERSION, MANAGED_BY, MailAccountResource } from '../api/group.ts'
import type { MailAccount, MailAccountSpec } from '../api/mail-account.ts'
import { isKubeError } from '../kube/errors.ts'
import { Secret } from '../kube/resources.ts'
import { type KubeClient, type KubeObject, keyText, type ObjectKey } from '../kube/types.ts'

export interface PasswordDeps {
  client: KubeClient
  /** Generated password Secrets, by watch. */
  passwordSecret(key: ObjectKey): KubeObject | undefined
  /** By namespace/name of the Secret, those that were made and that the watch has not shown yet. */
  generated: Map<string, Generated>
  now: () => Date
}

/** A password that was generated a moment ago. */
export interface Generated {
  /** Of the account: another one of its name has another Secret. */
  uid: string
  text: string
  /** Epoch milliseconds. */
  at: number
}

interface SecretKeyRef {
  name: string
  key: string
}
export type Password = { ref: SecretKeyRef } & (
  | { text: string }
  | { reason: 'SecretMissing' | 'SecretUnusable'; message: string }
)

const KEY = 'password'
const ALPHABET = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789' // none that look alike
const LENGTH = 24
/** The engine takes no longer one. */
const MAX_LENGTH = 1024
/** Who has not seen a Secret for so long looks for it: it may be gone again. */
const UNSEEN_MS = 60_000

/** The name of the Secret with a generated password. */
export const generatedSecretName = (account: string): string => `${account}-password`

/** @throws KubeError */
export async function passwordOf(account: MailAccount, spec: MailAccountSpec, deps: PasswordDeps): Promise<Password> {
  const { namespace = '', uid = '' } = account.metadata
  if (spec.passwordSecretRef) {
    const { name, key } = spec.passwordSecretRef
    const found = await deps.client.find(Secret, { namespace, name })
    return { ref: { name, key }, ...passwordIn(found, name, key) }
  }
  const name = generatedSecretName(account.metadata.name)
  const ref = { name, key: KEY }
  const known = deps.passwordSecret({ namespace, name })
  const cached = textOf(known, KEY)
  if (cached) return { ref, text: cached }
  const at = +deps.now()
  const unseen = known ? undefined : deps.generated.get(keyText({ namespace, name }))
  if (unseen?.uid === uid && at - unseen.at < UNSEEN_MS) return { ref, text: unseen.text }
  const text = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  const data = { [KEY]: Buffer.from(text).toString('base64') }
  if (!known && (await created(account, name, data, deps.client))) {
    deps.generated.set(keyText({ namespace, name }), { uid, text, at })
    return { ref, text }
  }
  // It exists: made a moment ago, or by somebody else, whose password counts.
  const existing = await deps.client.find(Secret, { namespace, name })
  const present = textOf(existing, KEY)
  if (present) return { ref, text: present }
  if (existing && existing.metadata.labels?.[ACCOUNT_LABEL] === undefined) {
    const message = `Secret ${name} is somebody else’s and has no key ${KEY}: add it, or give passwordSecretRef`
    return { ref, reason: 'SecretMissing', message }
  }
  await deps.client.mergePatch(Secret, { namespace, name }, { data })
  return { ref, text }
}

/**
 * A password of the user's. A line break at its end is the editor's or echo's; another control character cannot be typed
 * into a login, nor be sent in one (RFC 4013 §2.3).
 */
function passwordIn(secret: KubeObject | undefined, name: string, key: string) {
  const missing = (message: string) => ({ reason: 'SecretMissing', message }) as const
  if (!secret) return missing(`Secret ${name} does not exist`)
  if (secret.data?.[key] === undefined) return missing(`Secret ${name} has no key ${key}`)
  const unusable = (what: string) =>
    ({ reason: 'SecretUnusable', message: `Secret ${name}, key ${key}: the password ${what}` }) as const
  const text = (textOf(secret, key) ?? '').replace(/\r?\n$/, '')
  if (text === '') return unusable('is empty')
  if (text.length > MAX_LENGTH) return unusable(`has more than ${MAX_LENGTH} characters`)
  if (/\p{Cc}/u.test(text)) return unusable('has a line break or another control character in it')
  return { text }
}

/** False where there is a Secret of that name. */
async function created(
  account: MailAccount,
  name: string,
  data: Record<string, string>,
  client: KubeClient,
): Promise<boolean> {
  const { namespace = '', uid = '' } = account.metadata
  const owner = { apiVersion: API_VERSION, kind: MailAccountResource.kind, name: account.metadata.name, uid }
  const secret = {
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
  }
  try {
    await client.create(Secret, secret)
    return true
  } catch (error) {
    if (isKubeError(error, 'AlreadyExists')) return false
    throw error
  }
}

/** Values of labels have at most 63 characters; the label's presence is what selects. */
const labelValue = (name: string) => name.slice(0, 63).replace(/[^a-z0-9]+$/, '')

function textOf(secret: KubeObject | undefined, key: string): string | undefined {
  const value = secret?.data?.[key]
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8') || undefined
}
