// A model card as a page: one file that loads nothing and runs nothing.
//
// Knows: HTML, its looks. Does not know: what the card says.

import { createHash } from 'node:crypto'

import { STYLE } from './card-style.ts'
import { escapeHtml, render } from './markdown.ts'

export interface Page {
  html: string
  /** of the content security policy: this page's style and nothing else */
  policy: string
}

/** @param card in Markdown, whose first heading is the title */
export function cardPage(title: string, card: string): Page {
  const { html, parts } = render(card)
  const links = parts.map(({ id, title }) => `<li><a href="#${id}">${escapeHtml(title)}</a></li>`)
  const style = createHash('sha256').update(STYLE).digest('base64')
  return {
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Parts of the card"><ul>
${links.join('\n')}
</ul></nav>
<main>
${html}</main>
</body>
</html>
`,
    policy: [
      "default-src 'none'",
      `style-src 'sha256-${style}'`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      'sandbox allow-popups',
    ].join('; '),
  }
}
