// Words with digits that stand beside each other: where a number that is written in groups may be.
//
// Knows: white space and digits. Does not know: which numbers there are.

import type { Finding } from './finding.ts'

/** what may stand within an account number without a digit: GB29 NWBK 6016 … */
const LETTERS = /^(?:[A-Z]{1,4}|[a-z]{4})[^\w\s]?$/

/** Words with digits, one beside the other, and what stands before them. */
export interface Cluster {
  text: string
  /** of the cluster in the whole */
  offset: number
  digits: number
  /** the end of what comes before, in lower case */
  before: (at: number) => string
}

const CONTEXT_CHARACTERS = 32

export function add(
  found: Finding[],
  { offset }: Cluster,
  at: number,
  length: number,
  kind: string,
  value: string,
) {
  found.push({ start: offset + at, end: offset + at + length, kind, value })
}

const DIGIT = /\d/g

export function* clustersOf(text: string): Generator<Cluster> {
  let at = 0
  for (;;) {
    DIGIT.lastIndex = at
    const digit = DIGIT.exec(text)?.index
    if (digit === undefined) return
    const floor = at
    let start = digit
    while (start > floor && !isSpace(text.charCodeAt(start - 1))) start--
    start = withShortWord(text, start, floor)
    let end = start
    let digits = 0
    for (let next = start; ;) {
      const word = wordAt(text, next)
      if (word.digits === 0 && !LETTERS.test(text.slice(next, Math.min(word.end, next + 6)))) break
      digits += word.digits
      end = word.end
      next = word.end + 1
      if (next >= text.length) break
      // Two spaces, or "+49  30": one more is passed over.
      if (isSpace(text.charCodeAt(next))) next++
    }
    const offset = start
    yield {
      text: text.slice(start, end),
      offset,
      digits,
      before: (of) =>
        text.slice(Math.max(0, offset + of - CONTEXT_CHARACTERS), offset + of).toLowerCase(),
    }
    at = Math.max(end, digit + 1)
  }
}

/** An account number or an id may begin with letters that stand alone: `DE 89 …`, `QQ 12 34 56 C`. */
function withShortWord(text: string, start: number, floor: number): number {
  if (start - 1 <= floor || !isSpace(text.charCodeAt(start - 1))) return start
  let before = start - 1
  while (before > floor && start - before <= 4 && !isSpace(text.charCodeAt(before - 1))) before--
  const isWhole = before === floor || isSpace(text.charCodeAt(before - 1))
  return isWhole && /^["'([]?[A-Z]{1,2}$/.test(text.slice(before, start - 1)) ? before : start
}

function wordAt(text: string, from: number): { end: number; digits: number } {
  let digits = 0
  let end = from
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isSpace(code)) break
    if (code >= 48 && code <= 57) digits++
  }
  return { end, digits }
}

function isSpace(code: number): boolean {
  return code <= 32 || code === 0xa0 || code === 0x202f || code === 0x2009 || code === 0x2007
}
