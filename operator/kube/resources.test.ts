import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiVersionOf, CustomResourceDefinition, Deployment, resourcePath, Secret } from './resources.ts'

for (const [what, path, want] of [
  ['one core object', resourcePath(Secret, { namespace: 'mail', name: 's' }), '/api/v1/namespaces/mail/secrets/s'],
  ['a collection of one namespace', resourcePath(Secret, { namespace: 'mail' }), '/api/v1/namespaces/mail/secrets'],
  ['all namespaces', resourcePath(Deployment), '/apis/apps/v1/deployments'],
  [
    'a subresource',
    resourcePath(Deployment, { namespace: 'a', name: 'b' }, 'status'),
    '/apis/apps/v1/namespaces/a/deployments/b/status',
  ],
  [
    'a cluster-scoped object, whatever namespace the key has',
    resourcePath(CustomResourceDefinition, { namespace: 'a', name: 'x.y.z' }),
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x.y.z',
  ],
  [
    'a name that is no path',
    resourcePath(Secret, { namespace: 'a', name: '../b' }),
    '/api/v1/namespaces/a/secrets/..%2Fb',
  ],
] as const) {
  test(`path of ${what}`, () => assert.equal(path, want))
}

test('a namespaced object without its namespace has no path', () => {
  assert.throws(() => resourcePath(Secret, { namespace: '', name: 's' }), /namespace is needed/)
})

test('apiVersion has no slash for the core group', () => {
  assert.deepEqual([apiVersionOf(Secret), apiVersionOf(Deployment)], ['v1', 'apps/v1'])
})
