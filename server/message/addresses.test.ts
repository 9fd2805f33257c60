import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envelopeAddresses, namedAddresses, parseAddresses } from './addresses.ts'

for (const [situation, value, want] of [
  ['a bare address', 'ann@example.org', [[null, 'ann', 'example.org']]],
  ['a phrase', 'Ann Lee <ann@example.org>', [['Ann Lee', 'ann', 'example.org']]],
  ['a quoted phrase with a comma', '"Lee, \\"Ann\\"" <ann@example.org>', [['Lee, "Ann"', 'ann', 'example.org']]],
  ['dots in a phrase', 'J. R. Hacker <j@x.example>', [['J. R. Hacker', 'j', 'x.example']]],
  ['an encoded name stays encoded', '=?utf-8?q?=C3=A4?= <a@b.example>', [['=?utf-8?q?=C3=A4?=', 'a', 'b.example']]],
  ['a comment as name', 'ann@example.org (Ann (the) Lee)', [['Ann (the) Lee', 'ann', 'example.org']]],
  ['comments inside', 'ann(x)@(y)example.org', [['y', 'ann', 'example.org']]],
  ['a quoted local part', '"a b"@example.org', [[null, 'a b', 'example.org']]],
  ['a domain literal', 'ann@[192.0.2.1]', [[null, 'ann', '[192.0.2.1]']]],
  ['obsolete route', '<@a.example,@b.example:ann@example.org>', [[null, 'ann', 'example.org']]],
  ['obsolete spaces', 'ann . lee @ example . org', [[null, 'ann.lee', 'example.org']]],
  ['a name without brackets', 'Ann Lee ann@example.org', [['Ann Lee', 'ann', 'example.org']]],
  ['empty elements', ', ,ann@example.org,,', [[null, 'ann', 'example.org']]],
  ['no domain', 'root', [[null, 'root', '']]],
  ['no domain in brackets', 'Root <root>', [['Root', 'root', '']]],
  ['the null path', 'Mailer <>', [['Mailer', '', '']]],
  ['an unclosed bracket', 'Ann <ann@example.org', [['Ann', 'ann', 'example.org']]],
  ['an unclosed quote', '"Ann <ann@example.org>', [[null, 'Ann <ann@example.org>', '']]],
  ['nothing', '', []],
  [
    'an empty group',
    'undisclosed-recipients:;',
    [
      [null, 'undisclosed-recipients', null],
      [null, null, null],
    ],
  ],
  [
    'a group among addresses',
    'a@x.example, Friends: b@x.example, C <c@x.example>;, d@x.example',
    [
      [null, 'a', 'x.example'],
      [null, 'Friends', null],
      [null, 'b', 'x.example'],
      ['C', 'c', 'x.example'],
      [null, null, null],
      [null, 'd', 'x.example'],
    ],
  ],
  [
    'a group that is never closed',
    'G: a@b.example',
    [
      [null, 'G', null],
      [null, 'a', 'b.example'],
      [null, null, null],
    ],
  ],
] as const) {
  test(`address list: ${situation}`, () => assert.deepEqual(envelopeAddresses(parseAddresses(value)), want))
}

test('for people: names decoded, groups dissolved, local parts quoted where they must be', () => {
  const value = 'G: =?utf-8?q?J=C3=BCrgen?= <j@x.example>; "a b"@x.example, "" <c@x.example>'
  assert.deepEqual(namedAddresses(parseAddresses(value)), [
    { name: 'Jürgen', email: 'j@x.example' },
    { name: null, email: '"a b"@x.example' },
    { name: null, email: 'c@x.example' },
  ])
})
