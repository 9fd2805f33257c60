/** The small parsers of field values: encoded-words, parameters, dates, message ids, base subjects; and HTML text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDate, writtenDay } from './dates.ts'
import { decodeEncodedWords } from './encoded-words.ts'
import { headerFields, unfold } from './headers.ts'
import { htmlToText } from './html.ts'
import { parseMessageIds } from './message-ids.ts'
import { parseParameterized } from './parameters.ts'
import { baseSubject } from './threading.ts'

for (const [value, want] of [
  ['plain', 'plain'],
  ['=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus?= Bonn', 'Grüße aus Bonn'],
  ['=?iso-8859-1?B?/A==?=', 'ü'],
  ['=?utf-8?q?a?= =?utf-8?q?b?=', 'ab'],
  ['=?utf-8?q?a?= b =?utf-8?q?c?=', 'a b c'],
  ['=?utf-8?B?w?= =?utf-8?B?7w=?=', '\ufffd'],
  ['=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=', 'ü'],
  ['=?utf-8*de?Q?=C3=BC?=', 'ü'],
  ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
  ['=?x-unknown?Q?=C3=BC?=', 'ü'],
  ['=?cp437?Q?=81?=', 'ü'],
  ['=?utf-8?x?abc?=', '=?utf-8?x?abc?='],
  ['=?utf-8?q?unfinished', '=?utf-8?q?unfinished'],
] as const) {
  test(`encoded-words: ${value}`, () => assert.equal(decodeEncodedWords(value), want))
}

for (const [value, want] of [
  ['text/plain', { value: 'text/plain', parameters: {} }],
  ['Text/HTML; Charset="UTF-8"', { value: 'text/html', parameters: { charset: 'UTF-8' } }],
  ['text/plain; charset=us-ascii (Plain text)', { value: 'text/plain', parameters: { charset: 'us-ascii' } }],
  ['a/b; name=report (1).pdf; x=y', { value: 'a/b', parameters: { name: 'report (1).pdf', x: 'y' } }],
  ['a/b; name="a;b\\"c"; ;', { value: 'a/b', parameters: { name: 'a;b"c' } }],
  ["a/b; f*=utf-8'en'%e2%82%ac%20rates", { value: 'a/b', parameters: { f: '€ rates' } }],
  ["a/b; f*0*=iso-8859-1''%fc; f*1=%41; f*2*=%42", { value: 'a/b', parameters: { f: 'ü%41B' } }],
  ['a/b; f*1=b; f*0=a; f*3=lost', { value: 'a/b', parameters: { f: 'ab' } }],
  ["a/b; f=plain; f*=utf-8''better", { value: 'a/b', parameters: { f: 'better' } }],
  ['attachment; filename="=?utf-8?q?=C3=BC?=.txt"', { value: 'attachment', parameters: { filename: 'ü.txt' } }],
  ['', { value: '', parameters: {} }],
] as const) {
  test(`parameters: ${value}`, () => assert.deepEqual(parseParameterized(value), want))
}

test('a parameter named __proto__ is only a name', () => {
  const { parameters } = parseParameterized('a/b; __proto__=x')
  assert.deepEqual(Object.entries(parameters), [['__proto__', 'x']])
  assert.equal(Object.getPrototypeOf(parameters), Object.prototype)
})

for (const [value, want] of [
  ['Mon, 23 Nov 2026 10:20:30 +0100', '2026-11-23T09:20:30.000Z'],
  ['23 Nov 2026 10:20 -0230', '2026-11-23T12:50:00.000Z'],
  ['Mon, 23 Nov 26 10:20:30 EST', '2026-11-23T15:20:30.000Z'],
  ['Sun, 6 Nov 94 08:49:37 GMT (a comment)', '1994-11-06T08:49:37.000Z'],
  ['Fri, 31 Dec 2016 23:59:60 +0000', '2016-12-31T23:59:59.000Z'],
  ['Mon, 23 Nov 126 10:20:30 Z', '2026-11-23T10:20:30.000Z'],
  ['23 Nov 2026 10:20:30 X', '2026-11-23T10:20:30.000Z'],
  ['yesterday', undefined],
  ['Mon, 99 Nov 2026 10:20:30 +0000', undefined],
  ['Mon, 23 Foo 2026 10:20:30 +0000', undefined],
] as const) {
  test(`date: ${value}`, () => assert.equal(parseDate(value)?.toISOString(), want))

  test('the day that is written, which may be another than in UTC', () => {
    const day = (text: string) => new Date((writtenDay(text) ?? Number.NaN) * 86_400_000).toISOString().slice(0, 10)
    assert.equal(day('Sat, 24 Mar 2026 23:00:00 -0500'), '2026-03-24')
    assert.equal(day('Sun, 25 Mar 2026 01:00:00 +0900'), '2026-03-25')
    assert.equal(writtenDay('tomorrow'), undefined)
  })
}

test('message ids: in brackets, folded, bare, and obsolete phrases', () => {
  assert.deepEqual(parseMessageIds('<a@b>\t<c@\r\n d> <e@f>'), ['a@b', 'c@d', 'e@f'])
  assert.deepEqual(parseMessageIds('Your message of Monday <a@b>'), ['a@b'])
  assert.deepEqual(parseMessageIds('a@b c@d'), ['a@b', 'c@d'])
  assert.deepEqual(parseMessageIds('no ids here'), [])
  assert.deepEqual(parseMessageIds('bare-id', true), ['bare-id'])
})

for (const [subject, want] of [
  ['Lunch', 'lunch'],
  ['Re: Lunch', 'lunch'],
  ['RE: re[2]: Fwd: AW: Lunch  (fwd)', 'lunch'],
  ['[list] Re: [list]  Lunch', 'lunch'],
  ['[Fwd: Re: Lunch]', 'lunch'],
  ['[only a tag]', '[only a tag]'],
  ['Re:', ''],
  ['Regarding: x', 'regarding: x'],
] as const) {
  test(`base subject of ${subject}`, () => assert.equal(baseSubject(subject), want))
}

test('header fields: places, folding, spaces before the colon, lines that are none', () => {
  const raw = Buffer.from('A: 1\r\n folded\r\nnot a field\r\nB : 2\n\tmore\nC:\r\n\r\nD: body')
  assert.deepEqual(
    headerFields(raw, 0, raw.length).map((field) => [field.name, unfold(field.value), field.start, field.end]),
    [
      ['A', '1 folded', 0, 15],
      ['B', '2 more', 28, 40],
      ['C', '', 40, 44],
    ],
  )
})

for (const [html, want] of [
  ['<p>One</p><p>Two &amp; three</p>', 'One\nTwo & three'],
  ['a<br>b<script>alert("</p>")</script>c', 'a\nbc'],
  ['<style>x{}</style>1 < 2 &lt; 3 &#x263a; &unknown; &nbsp;', '1 < 2 < 3 ☺ &unknown;'],
  ['<a title="a > b">link</a><!-- hidden > still --> end', 'link end'],
  ['<td>1</td><td>2</td>', '1 2'],
  ['unfinished <a href="', 'unfinished'],
] as const) {
  test(`HTML to text: ${html}`, () => assert.equal(htmlToText(html, 1000), want))
}
