// The operator's own patterns: numbers of employees, names of projects, whatever only they know.
//
// They are RE2's: a pattern of theirs takes time that grows with the text and never with the pattern's luck, so that no
// text can hold up the event loop. What RE2 has no word for (look-around, back-references) is refused by name.
//
// Knows: patterns. Does not know: where they are declared.

import { RE2JS } from 're2js'

import type { Finding } from './finding.ts'

/** What a pattern finds is replaced by: `[EMPLOYEE_1]`. */
export const KIND_PATTERN = '^[A-Z][A-Z0-9_]{0,31}$'

interface OwnPattern {
  kind: string
  regex: RE2JS
}

export class OwnPatterns {
  readonly #patterns: OwnPattern[]

  /** @throws Error with what is wrong with a pattern */
  constructor(patterns: Record<string, string>) {
    this.#patterns = Object.entries(patterns).map(([kind, source]) => ({
      kind,
      regex: compilePattern(source),
    }))
  }

  find(text: string, found: Finding[]): void {
    for (const { kind, regex } of this.#patterns) {
      // Most texts have none: this is several times as fast as looking where.
      if (!regex.test(text)) continue
      const matcher = regex.matcher(text)
      while (matcher.find()) {
        const start = matcher.start()
        const end = matcher.end()
        if (end > start) found.push({ start, end, kind })
      }
    }
  }
}

/** @throws Error with what is wrong with it */
export function compilePattern(source: string): RE2JS {
  let regex: RE2JS
  try {
    regex = RE2JS.compile(source)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`'${source}' is no regular expression as RE2 has them: ${reason}`, { cause })
  }
  if (regex.test('')) throw new Error(`'${source}' finds an empty text, and so every text.`)
  return regex
}
