import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegexRefused, translateRegex } from './perl-regex.ts'

/** Expression, flags, what it matches, what it does not: as Perl would. */
for (const [source, flags, matching, other] of [
  ['abc', '', ['xabcx'], ['ABC']],
  ['abc', 'i', ['ABC'], ['ab']],
  ['(?i)abc', '', ['ABC'], ['ab']],
  ['(?i:a)bc', '', ['Abc'], ['ABC']],
  ['\\Aab', 'm', ['ab'], ['\nab']],
  ['^ab', '', ['ab'], ['\nab']],
  ['^ab', 'm', ['x\nab'], ['x\rab']],
  ['ab$', '', ['ab', 'ab\n'], ['ab\nx', 'ab\n\n']],
  ['ab$', 'm', ['ab\nx'], ['ab\rx']],
  ['ab\\Z', '', ['ab\n'], ['ab\nx']],
  ['ab\\z', '', ['ab'], ['ab\n']],
  ['a.c', '', ['a\rc', 'abc'], ['a\nc']],
  ['a.c', 's', ['a\nc'], ['ac']],
  ['a b # comment\n c', 'x', ['abc'], ['a b']],
  ['a\\ b', 'x', ['a b'], ['ab']],
  ['[]a]+', '', [']', 'a'], ['b']],
  ['[^]a]', '', ['b'], [']']],
  ['[[:alpha:]-]{2}', '', ['a-'], ['1-']],
  ['[a/b]/', '', ['//'], ['c/']],
  ['\\@\\#\\!\\~\\-\\/', '', ['@#!~-/'], ['@']],
  ['a\\hb', '', ['a\tb'], ['a\nb']],
  ['\\x41\\x{263a}', '', ['A\u263a'], ['A']],
  ['(?P<q>[\'"])x\\k<q>', '', ['"x"'], ['"x\'']],
  ['(a)(b)\\g{2}\\g1', '', ['abba'], ['abab']],
  ['a(?#comment)b', '', ['ab'], ['a']],
  ['(?<!x)a(?=b)(?!bc)', '', ['ab'], ['xab', 'abc']],
  ['a{2,}?b{,3}', '', ['aab{,3}'], ['ab']],
] as const)
  test(`/${source}/${flags} means what it means to Perl`, () => {
    const regex = translateRegex(source, flags)
    for (const text of matching) assert.ok(regex.test(text), `${regex} should match ${JSON.stringify(text)}`)
    for (const text of other) assert.ok(!regex.test(text), `${regex} should not match ${JSON.stringify(text)}`)
  })

for (const [what, source, flags] of [
  ['possessive quantifiers', 'a++', ''],
  ['possessive counts', 'a{1,3}+', ''],
  ['atomic groups', '(?>a)', ''],
  ['branch reset', '(?|a|b)', ''],
  ['recursion', '(?R)', ''],
  ['conditions', '(?(1)a|b)', ''],
  ['code', '(?{ 1 })', ''],
  ['\\G', '\\Ga', ''],
  ['\\K', 'a\\Kb', ''],
  ['properties', '\\p{Lu}', ''],
  ['\\Q', '\\Qa.b\\E', ''],
  ['inner s flags', 'a(?s:.)b', ''],
  ['flags in the middle', 'a(?i)b', ''],
  ['unknown flags', 'a', 'e'],
  ['relative references', '(a)\\g{-1}', ''],
  ['control verbs', 'a(*SKIP)b', ''],
  ['an open class', '[abc', ''],
  ['an open group', '(abc', ''],
  ['a lone backslash', 'a\\', ''],
  ['negated POSIX classes', '[[:^alpha:]]', ''],
] as const)
  test(`${what} are refused, never guessed at`, () => assert.throws(() => translateRegex(source, flags), RegexRefused))
