/**
 * Perl's regular expressions, as far as SpamAssassin rules use them, in JavaScript. What has no faithful translation is
 * refused, never guessed at. Pure.
 */

export class RegexRefused extends Error {
  override name = 'RegexRefused'
}

const MAX_PATTERN = 16_384

/** POSIX classes inside brackets. */
const POSIX: Record<string, string> = {
  alpha: 'a-zA-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\s',
  blank: ' \\t',
  punct: '!-\\/:-@\\[-`{-~',
  print: '\\x20-\\x7e',
  graph: '\\x21-\\x7e',
  cntrl: '\\x00-\\x1f\\x7f',
  xdigit: '0-9a-fA-F',
  word: '\\w',
}

/** Escapes that mean something else, or nothing, in JavaScript. */
const ESCAPES: Record<string, string> = {
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  Z: '(?=\\n?(?![\\s\\S]))',
  h: '[ \\t]',
  H: '[^ \\t]',
  R: '(?:\\r\\n|[\\n-\\r\\x85\\u2028\\u2029])',
  N: '[^\\n]',
  a: '\\x07',
  e: '\\x1b',
}
const REFUSED_ESCAPES = new Set('GKXQEULCpPulo')
const ESCAPES_IN_CLASS: Record<string, string> = { h: ' \\t', a: '\\x07', e: '\\x1b' }

/**
 * Compiles a rule's expression.
 * @param source what stands between the delimiters
 * @param flags of Perl: i, s, m, x; g, o, a, u have no meaning here and are passed over
 * @param global find all matches (tflags multiple)
 * @throws RegexRefused with the construct that has no translation
 */
export function translateRegex(source: string, flags: string, global = false): RegExp {
  if (source.length > MAX_PATTERN) throw new RegexRefused(`longer than ${MAX_PATTERN} characters`)
  let wanted = flags
  let pattern = source
  // (?i) at the start holds for all of it
  for (let inline = /^\(\?([a-z]+)\)/.exec(pattern); inline; inline = /^\(\?([a-z]+)\)/.exec(pattern)) {
    wanted += inline[1]
    pattern = pattern.slice(inline[0].length)
  }
  const unknown = /[^ismxgoau]/.exec(wanted)
  if (unknown) throw new RegexRefused(`flag "${unknown[0]}"`)
  const has = (flag: string): boolean => wanted.includes(flag)
  const translated = new Translation(pattern, { dotAll: has('s'), multiline: has('m'), extended: has('x') }).run()
  const jsFlags = `${has('i') ? 'i' : ''}${has('s') ? 's' : ''}${has('m') ? 'm' : ''}${global ? 'g' : ''}`
  try {
    return new RegExp(translated, jsFlags)
  } catch (error) {
    throw new RegexRefused(error instanceof Error ? error.message : String(error))
  }
}

class Translation {
  readonly source: string
  readonly options: { dotAll: boolean; multiline: boolean; extended: boolean }
  at = 0
  out = ''

  constructor(source: string, options: Translation['options']) {
    this.source = source
    this.options = options
  }

  run(): string {
    while (this.at < this.source.length) this.step()
    return this.out
  }

  private step(): void {
    const char = this.source[this.at] ?? ''
    if (char === '\\') this.escape()
    else if (char === '[') this.class()
    else if (char === '(') this.group()
    else this.plain(char)
  }

  private plain(char: string): void {
    const { source, options } = this
    this.at++
    if (char === '.') this.out += options.dotAll ? '.' : '[^\\n]'
    else if (char === '$') this.out += options.multiline ? '(?=\\n|(?![\\s\\S]))' : '(?=\\n?(?![\\s\\S]))'
    else if (char === '^' && options.multiline) this.out += '(?<=\\n|(?<![\\s\\S]))'
    else if ('*+?}'.includes(char)) this.quantifier(char)
    else if (options.extended && /\s/.test(char))
      return // white space between
    else if (options.extended && char === '#') {
      const end = source.indexOf('\n', this.at)
      this.at = end === -1 ? source.length : end + 1
    } else this.out += char === '/' ? '\\/' : char
  }

  private quantifier(char: string): void {
    const isEndOfCount = char !== '}' || /\{\d+(?:,\d*)?$/.test(this.out)
    this.out += char
    if (isEndOfCount && this.source[this.at] === '+') throw new RegexRefused(`possessive quantifier "${char}+"`)
  }

  private escape(): void {
    const { source } = this
    const char = source[this.at + 1] ?? ''
    if (char === '') throw new RegexRefused('backslash at the end')
    this.at += 2
    if (REFUSED_ESCAPES.has(char)) throw new RegexRefused(`"\\${char}"`)
    if (char === 'x' && source[this.at] === '{') this.codePoint()
    else if (char === 'g') this.backReference()
    else if (char === 'k') this.namedReference()
    // what Perl takes literally must not gain a meaning
    else this.out += ESCAPES[char] ?? (/[a-zA-Z0-9]/.test(char) ? `\\${char}` : literal(char))
  }

  private namedReference(): void {
    const name = /^[<{'](\w+)[>}']/.exec(this.source.slice(this.at))
    if (!name) throw new RegexRefused('"\\k" without a name')
    this.at += name[0].length
    this.out += `\\k<${name[1]}>`
  }

  private codePoint(): void {
    const found = /^\{\s*([0-9a-fA-F]{1,6})\s*\}/.exec(this.source.slice(this.at))
    const value = Number.parseInt(found?.[1] ?? '', 16)
    if (!found || value > 0xffff) throw new RegexRefused('"\\x{...}" beyond FFFF')
    this.at += found[0].length
    this.out += `\\u${value.toString(16).padStart(4, '0')}`
  }

  private backReference(): void {
    const found = /^(?:\{(\d+)\}|(\d+))/.exec(this.source.slice(this.at))
    if (!found) throw new RegexRefused('"\\g" with a name or a relative number')
    this.at += found[0].length
    this.out += `(?:\\${found[1] ?? found[2]})`
  }

  private class(): void {
    const { source } = this
    this.out += '['
    this.at++
    if (source[this.at] === '^') {
      this.out += '^'
      this.at++
    }
    // Perl: ] right at the start is a character
    if (source[this.at] === ']') {
      this.out += '\\]'
      this.at++
    }
    while (source[this.at] !== ']') {
      const char = source[this.at]
      if (char === undefined) throw new RegexRefused('"[" without "]"')
      const posix = /^\[:(\^?)(\w+):\]/.exec(source.slice(this.at))
      if (posix) {
        const members = POSIX[posix[2] ?? '']
        if (members === undefined || posix[1] === '^') throw new RegexRefused(`character class ${posix[0]}`)
        this.out += members
        this.at += posix[0].length
      } else if (char === '\\') this.escapeInClass()
      else {
        this.out += char === '[' ? '\\[' : char
        this.at++
      }
    }
    this.out += ']'
    this.at++
  }

  private escapeInClass(): void {
    const char = this.source[this.at + 1] ?? ''
    this.at += 2
    if (REFUSED_ESCAPES.has(char) || 'RHNAZzgk'.includes(char))
      throw new RegexRefused(`"\\${char}" in a character class`)
    if (char === 'x' && this.source[this.at] === '{') this.codePoint()
    else this.out += ESCAPES_IN_CLASS[char] ?? `\\${char}`
  }

  private group(): void {
    const rest = this.source.slice(this.at)
    const comment = /^\(\?#[^)]*\)/.exec(rest)
    if (comment) {
      this.at += comment[0].length
      return
    }
    const named = /^\(\?P?<([A-Za-z_]\w*)>/.exec(rest)
    const known = /^\(\?(?:[:=!]|<[=!]|\^?[ims]*(?:-[ims]+)?:)/.exec(rest)
    if (named) {
      this.out += `(?<${named[1]}>`
      this.at += named[0].length
    } else if (known) {
      if (/^\(\?\^/.test(rest)) throw new RegexRefused('"(?^"')
      // with "s" or "m" inside, dots and anchors around would have been translated for the outside
      if (/^\(\?[^:]*[sm]/.test(known[0]) && !/^\(\?[:=!<]/.test(rest)) throw new RegexRefused(`"${known[0]}"`)
      this.out += known[0]
      this.at += known[0].length
    } else if (/^\([?*]/.test(rest)) throw new RegexRefused(`"${rest.slice(0, 4)}"`)
    else {
      this.out += '('
      this.at++
    }
  }
}

const literal = (char: string): string => (/[\^$\\.*+?()[\]{}|/-]/.test(char) ? `\\${char}` : char)
