import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mailAccountSpec } from '../api/mail-account.ts'
import { kubeErrorOf } from '../kube/errors.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { type PasswordDeps, passwordOf } from './password.ts'

const spec = mailAccountSpec.parse({ serverRef: { name: 'post' }, address: 'ann@example.org' })
const account = (uid: string) => ({
  apiVersion: 'mail.openova.io/v1alpha1',
  kind: 'MailAccount',
  metadata: { name: 'ann', namespace: 'n', uid },
  spec,
})

/** An API whose watch has not shown anything yet. */
function behind() {
  const asked: string[] = []
  const clock = { ms: 0 }
  let secret: KubeObject | undefined
  const client: Pick<KubeClient, 'create' | 'find'> = {
    async create<T extends KubeObject>(_: unknown, object: KubeObject) {
      asked.push('create')
      if (secret) throw kubeErrorOf('create secrets', 409, { kind: 'Status', reason: 'AlreadyExists' })
      secret = object
      return object as T
    },
    async find<T extends KubeObject>() {
      asked.push('find')
      return secret as T | undefined
    },
  }
  const deps: PasswordDeps = {
    client: client as KubeClient,
    passwordSecret: () => undefined,
    generated: new Map(),
    now: () => new Date(clock.ms),
  }
  const textFor = async (uid: string) => {
    const password = await passwordOf(account(uid), spec, deps)
    return 'text' in password ? password.text : assert.fail(password.message)
  }
  return { asked, clock, textFor }
}

test('a Secret that was made is not asked for again before the watch can have shown it', async () => {
  const { asked, clock, textFor } = behind()
  const text = await textFor('first')
  assert.equal(await textFor('first'), text)
  assert.deepEqual(asked, ['create'])
  clock.ms = 60_000
  assert.equal(await textFor('first'), text)
  assert.deepEqual(asked, ['create', 'create', 'find'])
})

test('an account that is made again under its name has not the Secret of the one before', async () => {
  const { asked, textFor } = behind()
  await textFor('first')
  await textFor('second')
  assert.deepEqual(asked, ['create', 'create', 'find'])
})
