import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailServerSpec } from '../../api/mail-server.ts'
import { MAX_DOMAINS } from '../../api/mail-server-spec.ts'
import type { KubeObject } from '../../kube/types.ts'
import { type CertificateGroup, certificateGroups, FURTHER_CERTIFICATES, publicNames } from './certificate-groups.ts'
import { certificateName } from './names.ts'

const issuerRef = { name: 'letsencrypt' }
const specOf = (domains: string[], tls = {}) =>
  parseMailServerSpec({ hostname: 'mail.example.org', domains: domains.map((name) => ({ name })), tls })
const named = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `d${from + index}.example`)
/** As they are once the groups are applied. */
const applied = (groups: readonly CertificateGroup[]) =>
  new Map(
    groups.map(({ number, names }): [string, KubeObject] => {
      const name = certificateName('s', number)
      return [
        `Certificate/${name}`,
        { apiVersion: '', kind: 'Certificate', metadata: { name }, spec: { dnsNames: names } },
      ]
    }),
  )
const groupsOf = (domains: string[], before: readonly CertificateGroup[] = []) =>
  certificateGroups('s', specOf(domains, { issuerRef }), applied(before))
const domainsOf = ({ names }: CertificateGroup) =>
  names.filter((name) => name.startsWith('autoconfig.')).map((name) => name.slice('autoconfig.'.length))

test('up to 33 domains are in one certificate, in the order of the spec', () => {
  const spec = specOf(named(0, 33), { issuerRef })
  const groups = certificateGroups('s', spec, new Map())
  assert.deepEqual(groups, [{ number: 1, names: publicNames(spec) }])
  assert.equal(groups[0].names.length, 100)
})

test('beyond, no certificate has more than 100 names, and every name is in one', () => {
  for (const count of [34, 66, 67, 100, MAX_DOMAINS]) {
    const groups = groupsOf(named(0, count))
    assert.ok(groups.every(({ names }) => names.length <= 100))
    assert.deepEqual(groups.flatMap(({ names }) => names).toSorted(), publicNames(specOf(named(0, count))).toSorted())
    assert.deepEqual(
      groups.slice(1).map(({ number }) => number),
      FURTHER_CERTIFICATES.slice(0, groups.length - 1),
    )
  }
})

test('a domain that comes has no certificate issued again but its own, wherever it stands in the list', () => {
  const before = groupsOf(named(1, 51))
  const after = groupsOf([...named(0, 1), ...named(1, 51)], before)
  assert.deepEqual(after[0], before[0])
  assert.deepEqual(after.slice(1).flatMap(domainsOf), [...named(0, 1), ...named(34, 51)])
})

test('a domain that goes leaves room, which the next one takes', () => {
  const before = groupsOf(named(0, 70))
  const gone = named(0, 70).filter((name) => name !== 'd40.example')
  const without = groupsOf(gone, before)
  assert.deepEqual([without[0], without[2]], [before[0], before[2]])
  const next = groupsOf([...gone, 'new.example'], without)
  assert.deepEqual(
    next.map(domainsOf).map((names) => names.includes('new.example')),
    [false, true, false],
  )
})

test('a certificate whose domains are all gone is not asked for, and the others stay as they are', () => {
  const before = groupsOf(named(0, 70))
  const rest = [...named(0, 33), ...named(66, 70)]
  const groups = groupsOf(rest, before)
  assert.deepEqual(groups, [before[0], before[2]])
  assert.deepEqual(groupsOf(rest, groups), groups)
})

test('one that has too many names for an issuer keeps what there is room for', () => {
  const all = specOf(named(0, 40), { issuerRef })
  const groups = groupsOf(named(0, 40), [{ number: 1, names: publicNames(all) }])
  assert.deepEqual(groups.map(domainsOf), [named(0, 33), named(33, 40)])
})

test('a certificate of our own CA, or one that is given, has or should have all names', () => {
  for (const tls of [{}, { secretName: 'given' }]) {
    const spec = specOf(named(0, 60), tls)
    assert.deepEqual(certificateGroups('s', spec, new Map()), [{ number: 1, names: publicNames(spec) }])
  }
})
