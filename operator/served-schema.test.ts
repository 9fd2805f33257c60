import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { Registry } from 'prom-client'
import { customResourceDefinitions } from './api/crds.ts'
import { createKubeClient } from './kube/client.ts'
import { silentLogger } from './kube/logger.ts'
import { CustomResourceDefinition } from './kube/resources.ts'
import type { KubeObject } from './kube/types.ts'
import { startApiServer } from './local/apiserver/server.ts'
import { registerOperatorMetrics } from './metrics.ts'
import { prepareOperator } from './run.ts'
import { missingFields } from './served-schema.ts'

const api = await startApiServer({})
const kubeConfig = new KubeConfig()
kubeConfig.loadFromString(api.kubeconfig)
const client = createKubeClient({ kubeConfig, userAgent: 'test' })
after(async () => {
  await client[Symbol.asyncDispose]()
  await api.close()
})

test('CRDs of this release lack nothing; of older ones, what is missing is named', async () => {
  const crds = structuredClone(customResourceDefinitions())
  for (const crd of crds) await client.create(CustomResourceDefinition, crd)
  assert.deepEqual(
    [...(await missingFields(client))],
    [
      ['MailServer', []],
      ['MailAccount', []],
    ],
  )
})

test('an operator over older CRDs says which fields are dropped, counts them, and works', async () => {
  const [older] = structuredClone(customResourceDefinitions()) as unknown as {
    spec: {
      versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, unknown> } } } } }[]
    }
  }[]
  const properties = older?.spec.versions[0]?.schema.openAPIV3Schema.properties.spec.properties ?? {}
  delete properties.workers
  await client.replace(CustomResourceDefinition, {
    ...(older as unknown as KubeObject),
    metadata: (await client.get(CustomResourceDefinition, { namespace: '', name: 'mailservers.mail.openova.io' }))
      .metadata,
  })
  const warned = Promise.withResolvers<object>()
  const logger = {
    ...silentLogger,
    warn: (fields: object, message: string) => void (message.startsWith('the CRD is older') && warned.resolve(fields)),
  }
  await using operator = prepareOperator({ identity: 'test', resyncMs: 100 }, { client, logger })
  const registry = new Registry()
  registerOperatorMetrics(registry, operator)
  assert.deepEqual(await warned.promise, { kind: 'MailServer', fields: ['spec.workers'] })
  const text = await registry.metrics()
  assert.match(text, /mail_operator_crd_missing_fields\{kind="MailServer"\} 1/)

  // Upgraded meanwhile, they are in order without another start.
  const [crd] = customResourceDefinitions()
  const { metadata } = await client.get(CustomResourceDefinition, {
    namespace: '',
    name: 'mailservers.mail.openova.io',
  })
  await client.replace(CustomResourceDefinition, { ...(crd as KubeObject), metadata })
  while (operator.missingFields().get('MailServer') !== 0) await sleep(20)
})
