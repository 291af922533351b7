// How a model card looks: the reader's own light or dark, wide tables that scroll by themselves, paper that wastes no ink.

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#ffffff, #14171a);
  --raised: light-dark(#f5f7f8, #1c2125);
  --ink: light-dark(#1c2328, #dfe5e8);
  --faint: light-dark(#5b6770, #93a0a8);
  --line: light-dark(#dde3e7, #2d353b);
  --water: light-dark(#0b6e8a, #5cc3df);
}
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  display: grid; grid-template-columns: minmax(0, 52rem); justify-content: center; gap: 0 3rem;
  padding: 2.5rem 1.5rem 4rem; overflow-wrap: break-word;
}
nav { display: none }
h1, h2, h3, h4, h5, h6 { line-height: 1.25; font-weight: 650; text-wrap: balance }
h1 { font-size: 2.25rem; margin: 0 0 1.25rem; letter-spacing: -.02em }
h1::after { content: ""; display: block; width: 3.5rem; height: .25rem; margin-top: .9rem; border-radius: 2px; background: var(--water) }
h2 { font-size: 1.35rem; margin: 2.75rem 0 1rem; padding-top: 1.25rem; border-top: 1px solid var(--line); scroll-margin-top: 1rem }
h3 { font-size: 1.05rem; margin: 1.9rem 0 .6rem }
h4, h5, h6 { font-size: .95rem; margin: 1.4rem 0 .5rem; color: var(--faint) }
p, ul, ol, blockquote, pre, .table { margin: 0 0 1rem }
ul, ol { padding-left: 1.4rem }
li + li { margin-top: .25rem }
a { color: var(--water); text-underline-offset: .15em }
a:focus-visible { outline: 2px solid var(--water); outline-offset: 2px; border-radius: 2px }
h3 + p > em:only-child { color: var(--faint); font-style: normal; font-size: .875rem }
code { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; background: var(--raised); border-radius: 4px; padding: .12em .35em; overflow-wrap: anywhere }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1.1rem; overflow-x: auto }
pre code { background: none; padding: 0; overflow-wrap: normal }
blockquote { border-left: 3px solid var(--line); padding-left: 1rem; margin-left: 0; color: var(--faint) }
hr { border: 0; border-top: 1px solid var(--line); margin: 3rem 0 1rem }
hr:last-of-type + p { color: var(--faint); font-size: .875rem }
.table { margin-bottom: 1.5rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100%; font-size: .925rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .55rem .9rem; border-bottom: 1px solid var(--line) }
tbody tr:last-child > *, table:not(:has(tbody)) th { border-bottom: 0 }
th { background: var(--raised); font-weight: 600; white-space: nowrap }
th:has(strong), td:first-child:has(strong:only-child) { white-space: nowrap }
table:has(th:first-child > strong) tr > :first-child > strong { color: var(--faint); font-weight: 500 }
th:has(> strong) { background: none }
tr:has(> th:first-child > strong) > th { background: none; font-weight: 400; white-space: normal }
tr:has(> th:first-child > strong) > th:first-child { width: 11rem }
time { white-space: nowrap }
@media (min-width: 72rem) {
  body { grid-template-columns: 11rem minmax(0, 52rem) }
  nav { display: block; position: sticky; top: 2.5rem; align-self: start; font-size: .875rem }
  nav ul { list-style: none; padding: .35rem 0 0; border-right: 1px solid var(--line) }
  nav a { color: var(--faint); text-decoration: none; display: block; padding: .1rem 1rem .1rem 0 }
  nav a:hover { color: var(--water) }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } }
@media print {
  body { display: block; padding: 0; font-size: 11pt }
  nav { display: none }
  .table, pre { break-inside: avoid; overflow: visible }
  h2, h3 { break-after: avoid }
}
`
