// Markdown as people write it into the catalog: put into a larger text without breaking it, and made into HTML that does
// nothing.
//
// HTML in Markdown is text here, links lead to the web and to mailboxes alone, and nothing is loaded: a picture is a link.
//
// Knows: Markdown. Does not know: cards, who wrote it.

import MarkdownIt from 'markdown-it'

const DEEPEST = 6

const markdown = createMarkdown()
const withHtml = new MarkdownIt({ html: true })

function createMarkdown(): MarkdownIt {
  // Typographic replacements would change what somebody quotes, and what only looks like an address is not one.
  const made = new MarkdownIt({ html: false, linkify: false, typographer: false })
  made.validateLink = (url) => /^(https?:\/\/|mailto:)/i.test(url.trim())
  const { rules } = made.renderer
  rules['link_open'] = (tokens, index, options, _env, self) => {
    tokens[index]!.attrSet('rel', 'noopener noreferrer nofollow')
    return self.renderToken(tokens, index, options)
  }
  rules['image'] = (tokens, index) => {
    const { content, attrs } = tokens[index]!
    const escape = made.utils.escapeHtml
    const source = new Map(attrs ?? []).get('src') ?? ''
    const label = escape(content === '' ? source : content)
    return `<a href="${escape(source)}" rel="noopener noreferrer nofollow">${label}</a>`
  }
  // A day is not broken at its hyphens.
  rules['text'] = (tokens, index) =>
    made.utils
      .escapeHtml(tokens[index]!.content)
      .replaceAll(/\b\d{4}-\d\d-\d\d\b/g, '<time>$&</time>')
  // Wide ones scroll by themselves.
  rules['table_open'] = () => '<div class="table"><table>\n'
  rules['table_close'] = () => '</table></div>\n'
  rules['heading_open'] = (tokens, index, options, _env, self) => {
    const token = tokens[index]!
    if (token.tag === 'h2' && token.level === 0) token.attrSet('id', `part-${token.map?.[0] ?? 0}`)
    return self.renderToken(tokens, index, options)
  }
  return made
}

export interface Rendered {
  html: string
  /** headings of the second level, with the ids that they have in it */
  parts: { id: string; title: string }[]
}

export function render(text: string): Rendered {
  const tokens = markdown.parse(text, {})
  const html = markdown.renderer.render(tokens, markdown.options, {})
  const parts = tokens.flatMap((token, index) => {
    const id = token.type === 'heading_open' ? token.attrGet('id') : null
    return id === null ? [] : [{ id, title: tokens[index + 1]?.content ?? '' }]
  })
  return { html, parts }
}

export const escapeHtml = (text: string) => markdown.utils.escapeHtml(text)

/** A text as part of another one: its headings are below that one's, and what it opens it also closes. */
export function nested(text: string, below: number): string {
  const lines = withoutHtml(text.replaceAll(/\r\n?/g, '\n').trimEnd().split('\n'))
  const tokens = markdown.parse(lines.join('\n'), {})
  const open = tokens.findLast(({ type, level }) => type === 'fence' && level === 0)
  if (open && !isClosed(open.markup, lines.slice(open.map?.[0], open.map?.[1]))) {
    lines.push(open.markup)
  }
  // From the end, so that the lines before stay where they were.
  for (const [index, token] of [...tokens.entries()].reverse()) {
    if (token.type !== 'heading_open' || token.level > 0 || !token.map) continue
    const [from, to] = token.map
    const depth = Math.min(DEEPEST, Number(token.tag.slice(1)) + below)
    const title = (tokens[index + 1]?.content ?? '').replaceAll('\n', ' ')
    lines.splice(from, to - from, `${'#'.repeat(depth)} ${title}`)
  }
  return lines.join('\n')
}

/** As Markdown it may be read by somebody whose parser takes HTML, where a comment that is open hides all behind it. */
function withoutHtml(lines: readonly string[]): string[] {
  const blocks = withHtml.parse(lines.join('\n'), {}).filter(({ type }) => type === 'html_block')
  const isHtml = (index: number) =>
    blocks.some(({ map }) => map !== null && map[0] <= index && index < map[1])
  return lines.map((line, index) => (isHtml(index) ? line.replaceAll('<', '&lt;') : line))
}

function isClosed(fence: string, [, ...inside]: string[]): boolean {
  const last = inside.at(-1)?.trim() ?? ''
  return last.length >= fence.length && last === fence[0]!.repeat(last.length)
}

/** A text as words of one line, whatever is in it: in a cell of a table, or a heading. */
export function inline(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replaceAll(/[\\`*[\]<>|~]/g, '\\$&')
    .replaceAll(/(?<!\w)_|_(?!\w)/g, '\\_')
    .replaceAll(/&(?=#?\w+;)/g, '\\&')
}

/** Words that are told letter by letter. */
export function code(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim().replaceAll('|', '\\|')
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const ticks = '`'.repeat(longest + 1)
  const pad = /^`|`$/.test(line) ? ' ' : ''
  return line === '' ? '' : `${ticks}${pad}${line}${pad}${ticks}`
}

/** @param rows of cells that are Markdown already; one without any cell is left out */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
