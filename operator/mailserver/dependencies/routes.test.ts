/** What is said of the Gateway and its routes, from what nothing works without to what comes last. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailServerSpec } from '../../api/mail-server.ts'
import type { Condition, KubeObject } from '../../kube/types.ts'
import type { Gateway, GatewayView } from '../gateways.ts'
import { idOf } from '../kinds.ts'
import type { Observed } from '../observe.ts'
import { MINIMAL } from '../testing/context.ts'
import { networkStatement } from './engine.ts'
import { routesStatement } from './routes.ts'

const condition = (type: string, status: Condition['status'], message = ''): Condition => ({
  ...{ type, status, message, reason: 'Because' },
  lastTransitionTime: '2026-06-01T00:00:00Z',
})
const key = { namespace: 'gateways', name: 'public' }
const MAIL = ['smtp', 'smtps', 'submission', 'imaps']

function gateway(more: { listeners?: string[]; status?: Partial<Gateway['status']> } = {}): GatewayView {
  const { listeners = ['https', ...MAIL], status } = more
  return {
    key,
    gateway: {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: key,
      spec: { listeners: listeners.map((name) => ({ name })) },
      status: {
        addresses: [{ value: '192.0.2.80' }],
        conditions: [condition('Accepted', 'True'), condition('Programmed', 'True')],
        listeners: listeners.map((name) => ({ name, conditions: [condition('Programmed', 'True')] })),
        ...status,
      },
    },
  }
}
function route(section: string, conditions: Condition[] | undefined, of = 'public'): KubeObject {
  const parentRef = { name: 'public', namespace: 'gateways', sectionName: section }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: section === 'https' ? 'HTTPRoute' : 'TCPRoute',
    metadata: { name: section === 'https' ? 's-http' : `s-${section}`, namespace: 'n' },
    spec: { parentRefs: [parentRef] },
    status: { parents: conditions ? [{ parentRef: { ...parentRef, name: of }, conditions }] : [] },
  }
}
const GOOD = [condition('Accepted', 'True'), condition('ResolvedRefs', 'True')]
const allRoutes = ['https', ...MAIL].map((section) => route(section, GOOD))
const butSmtp = (smtp: KubeObject) => allRoutes.map((one) => (idOf(one) === idOf(smtp) ? smtp : one))

const spec = parseMailServerSpec({
  ...MINIMAL,
  service: { type: 'ClusterIP' },
  gateway: { ...key, httpSection: 'https', mail: true },
})
function seen(view: GatewayView | undefined, routes: KubeObject[], addresses: string[] = []): Observed {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' } }
  return {
    key: { namespace: 'n', name: 's' },
    children: new Map([service, ...routes].map((one) => [idOf(one), one])),
    served: {},
    held: {},
    secrets: {},
    gateway: view,
    addresses,
    webAddresses: [],
    certificates: [{ number: 1, names: ['mail.example.org'] }],
  }
}
const unseen: GatewayView = { key, gateway: undefined, unseen: { reason: 'GatewayForbidden', message: 'may not look' } }

for (const [what, view, routes, reason, message] of [
  ['one that may not be read', unseen, allRoutes, 'GatewayForbidden', /may not look/],
  ['none', { key, gateway: undefined }, allRoutes, 'GatewayMissing', /^Gateway gateways\/public does not exist$/],
  [
    'one that nobody has accepted',
    gateway({ status: { conditions: [condition('Accepted', 'Unknown', 'Waiting for controller')] } }),
    allRoutes,
    'GatewayNotAccepted',
    /^Gateway gateways\/public is not accepted: Waiting for controller$/,
  ],
  [
    'one without listeners for mail',
    gateway({ listeners: ['https', 'smtp'] }),
    allRoutes,
    'ListenerMissing',
    /^Gateway gateways\/public has no listener imaps, smtps, submission$/,
  ],
  [
    'a listener whose port is taken',
    gateway({
      status: { listeners: [{ name: 'smtp', conditions: [condition('Programmed', 'False', 'port 25 is taken')] }] },
    }),
    allRoutes,
    'ListenerNotProgrammed',
    /^Gateway gateways\/public: listener smtp is not programmed: port 25 is taken$/,
  ],
  [
    'a route that it has not looked at',
    gateway(),
    butSmtp(route('smtp', undefined)),
    'NotAccepted',
    /^TCPRoute s-smtp: no Gateway has looked at it yet$/,
  ],
  [
    'a route of which only the Gateway before says something',
    gateway(),
    butSmtp(route('smtp', GOOD, 'before')),
    'NotAccepted',
    /^TCPRoute s-smtp: no Gateway has looked at it yet$/,
  ],
  [
    'a route that it refuses',
    gateway(),
    butSmtp(route('smtp', [condition('Accepted', 'False', 'namespace not allowed')])),
    'NotAccepted',
    /^TCPRoute s-smtp: namespace not allowed$/,
  ],
  [
    'a route whose Service it does not find',
    gateway(),
    butSmtp(route('smtp', [condition('Accepted', 'True'), condition('ResolvedRefs', 'False', 'no Service s')])),
    'RefsNotResolved',
    /^TCPRoute s-smtp: no Service s$/,
  ],
  [
    'one that is not programmed',
    gateway({ status: { conditions: [condition('Accepted', 'True'), condition('Programmed', 'False', 'no nodes')] } }),
    allRoutes,
    'GatewayNotProgrammed',
    /^Gateway gateways\/public is not programmed: no nodes$/,
  ],
  ['one without an address', gateway({ status: { addresses: [] } }), allRoutes, 'AddressPending', /no address yet$/],
  [
    'a good one',
    gateway(),
    allRoutes,
    'Accepted',
    /^5 routes are accepted; .* leads mail and HTTP here by 192.0.2.80$/,
  ],
] as [string, GatewayView, KubeObject[], string, RegExp][]) {
  test(`Gateway: ${what}`, () => {
    const found = routesStatement(view, spec, seen(view, routes))
    assert.equal(found.reason, reason)
    assert.equal(found.status, reason === 'Accepted' ? 'True' : 'False')
    assert.match(found.message, message)
  })
}

for (const [what, view, addresses, want] of [
  ['has given an address', gateway(), ['192.0.2.80'], 'True AddressAssigned'],
  ['has no address', gateway({ status: { addresses: [] } }), [], 'False AddressPending'],
  ['does not exist', { key, gateway: undefined }, [], 'False AddressPending'],
  ['may not be read', unseen, [], 'True ClusterIP'],
] as [string, GatewayView, string[], string][]) {
  test(`NetworkReady where mail comes through a Gateway that ${what}`, () => {
    const { status, reason } = networkStatement(spec, seen(view, allRoutes, addresses))
    assert.equal(`${status} ${reason}`, want)
  })
}
