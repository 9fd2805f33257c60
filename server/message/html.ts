/** HTML to plain text, for search and preview: tags, styles and scripts go, blocks become lines. One pass, no DOM. */

const BLOCKS = new Set(
  'address article blockquote body br center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 head header hr html li main nav ol option p pre section table tbody td tfoot th thead title tr ul'.split(
    ' ',
  ),
)
/** Elements whose content is not text. */
const HIDDEN = new Set(['script', 'style', 'template', 'noscript', 'title', 'xml'])

/** @param maxChars stop once this much text has been found */
export function htmlToText(html: string, maxChars: number): string {
  let text = ''
  let at = 0
  while (at < html.length && text.length < maxChars) {
    const open = html.indexOf('<', at)
    if (open < 0) {
      text += visible(html.slice(at))
      break
    }
    if (open > at) text += visible(html.slice(at, open))
    at = afterMarkup(html, open, (name) => {
      if (BLOCKS.has(name)) text += name === 'td' || name === 'th' ? ' ' : '\n'
    })
    if (at === open) {
      text += '<' // "a < b": no tag
      at = open + 1
    }
  }
  return text
    .replace(/ {2,}/g, ' ')
    .replace(/ ?\n\s*/g, '\n')
    .trim()
}

/** Passes over the comment, declaration or tag at `open`; the same index when there is none. */
function afterMarkup(html: string, open: number, onTag: (name: string) => void): number {
  const next = html.charCodeAt(open + 1)
  if (next === 0x21 /* ! */) {
    if (html.startsWith('<!--', open)) return after(html, '-->', open + 2)
    return after(html, '>', open)
  }
  if (next === 0x3f /* ? */) return after(html, '>', open)
  const closing = next === 0x2f
  let end = open + (closing ? 2 : 1)
  const start = end
  while (end < html.length && isNameChar(html.charCodeAt(end))) end++
  if (end === start) return closing ? after(html, '>', open) : open
  const name = html.slice(start, end).toLowerCase()
  onTag(name)
  const tagEnd = endOfTag(html, end)
  if (closing || !HIDDEN.has(name)) return tagEnd
  return endOfHidden(html, name, tagEnd)
}

/** After the '>' that is not inside a quoted attribute value. */
function endOfTag(html: string, from: number): number {
  let quote = 0
  for (let at = from; at < html.length; at++) {
    const code = html.charCodeAt(at)
    if (quote) {
      if (code === quote) quote = 0
    } else if (code === 0x3e) return at + 1
    else if ((code === 0x22 || code === 0x27) && html.charCodeAt(at - 1) === 0x3d) quote = code
  }
  return html.length
}

/** After the end tag of a hidden element, or the end of the text when it is never closed. */
function endOfHidden(html: string, name: string, from: number): number {
  for (let at = html.indexOf('</', from); at >= 0; at = html.indexOf('</', at + 2)) {
    if (html.slice(at + 2, at + 2 + name.length).toLowerCase() === name) return endOfTag(html, at + 2)
  }
  return html.length
}

function after(html: string, what: string, from: number): number {
  const at = html.indexOf(what, from)
  return at < 0 ? html.length : at + what.length
}

const isNameChar = (code: number) =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39) || code === 0x3a

/** Text between tags: white space collapsed, character references resolved. */
function visible(text: string): string {
  const collapsed = text.replace(/[ \t\r\n\f]+/g, ' ')
  return collapsed.includes('&')
    ? collapsed.replace(/&(#x?[0-9a-f]{1,7}|[a-z][a-z0-9]{1,10});?/gi, reference)
    : collapsed
}

function reference(whole: string, name: string): string {
  if (name.startsWith('#')) {
    const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10)
    if (!(code > 0) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return ''
    return String.fromCodePoint(code)
  }
  return NAMED.get(name) ?? whole
}

/** The references that mail uses: HTML 4's Latin-1 in order from U+00A0, and common others. */
const NAMED = new Map<string, string>([
  ...'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml'
    .split(' ')
    .map((name, index): [string, string] => [name, String.fromCodePoint(0xa0 + index)]),
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['nbsp', ' '],
  ['shy', ''],
  ['zwnj', ''],
  ['zwj', ''],
  ['OElig', 'Œ'],
  ['oelig', 'œ'],
  ['Scaron', 'Š'],
  ['scaron', 'š'],
  ['ndash', '–'],
  ['mdash', '—'],
  ['lsquo', '‘'],
  ['rsquo', '’'],
  ['sbquo', '‚'],
  ['ldquo', '“'],
  ['rdquo', '”'],
  ['bdquo', '„'],
  ['bull', '•'],
  ['hellip', '…'],
  ['euro', '€'],
  ['trade', '™'],
  ['ensp', ' '],
  ['emsp', ' '],
  ['thinsp', ' '],
])
