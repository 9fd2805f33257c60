/** The little XML that mail programs want to be told in. Pure. */

/** An element, its children in order: text is escaped, elements are made by this function. */
export interface Element {
  name: string
  attributes: Record<string, string>
  children: readonly (Element | string)[]
}

export function element(
  name: string,
  children: string | readonly (Element | string)[] = [],
  attributes: Record<string, string> = {},
): Element {
  return { name, attributes, children: typeof children === 'string' ? [children] : children }
}

/** The whole document, indented for people. */
export function xmlDocument(root: Element): string {
  return `<?xml version="1.0" encoding="utf-8"?>\n${write(root, '')}\n`
}

function write({ name, attributes, children }: Element, indent: string): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`)
  const open = `${indent}<${name}${given.join('')}`
  if (children.length === 0) return `${open}/>`
  if (children.every((child) => typeof child === 'string')) return `${open}>${escaped(children.join(''))}</${name}>`
  const inner = children.map((child) =>
    typeof child === 'string' ? `${indent}  ${escaped(child)}` : write(child, `${indent}  `),
  )
  return [`${open}>`, ...inner, `${indent}</${name}>`].join('\n')
}

/** Without the control characters that XML 1.0 §2.2 has no way to write. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '')
    .replace(/[&<>"'\t\r\n]/g, (character) => `&#${character.charCodeAt(0)};`)
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Text content with XML's own five entities resolved; others stay as they are written. */
export function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (whole, name: string) => ENTITIES[name] ?? whole)
}
