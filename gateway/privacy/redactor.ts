// Takes what identifies people and opens doors out of texts, and puts what it was in its place.
//
// All detectors read the same text and say what they found where; where findings overlap, the earlier detector's counts,
// and the texts between are copied once. Equal things of one exchange get the same number, `[EMAIL_1]`, so that a
// conversation can still be followed.
//
// Knows: texts and JSON values. Does not know: exchanges, who asked for it.

import { findAddresses } from './addresses.ts'
import { findFiles, fileInstead } from './files.ts'
import { findNumbers } from './numbers.ts'
import { OwnPatterns } from './own-patterns.ts'
import { findNamedSecrets, findPrivateKeys, findVendorKeys, isSecretName } from './secrets.ts'
import { traitsOf } from './traits.ts'
import type { Finding } from './finding.ts'

/** A shorter number identifies nobody; a longer one is a card's, perhaps, as a JSON number. */
const MIN_NUMBER = 10_000_000

export class Redactor {
  #own = new OwnPatterns({})

  /** The operator's, instead of those before. */
  useOwn(patterns: OwnPatterns): void {
    this.#own = patterns
  }

  /** In the order in which they count, without overlaps, sorted by place. */
  find(text: string): Finding[] {
    const found: Finding[] = []
    this.#own.find(text, found)
    const { hasLongWord, hasAt, hasDigit } = traitsOf(text)
    if (hasLongWord) {
      findFiles(text, found)
      findVendorKeys(text, found)
    }
    if (text.includes('PRIVATE KEY')) findPrivateKeys(text, found)
    if (hasDigit) findNamedSecrets(text, found)
    if (hasAt) findAddresses(text, found)
    if (hasDigit) findNumbers(text, found)
    return found.length < 2 ? found : withoutOverlaps(found)
  }

  /** For one exchange: equal things have one number in all of its texts. */
  begin(): Redaction {
    return new Redaction(this)
  }
}

export class Redaction {
  readonly #redactor: Redactor
  /** numbers by kind and value */
  readonly #numbers = new Map<string, Map<string, number>>()

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  text(text: string): string {
    const file = fileInstead(text)
    if (file !== null) return file
    if (mayBeJson(text)) return this.#jsonText(text)
    return this.#plainText(text)
  }

  /** Any JSON value: texts, names of fields, numbers that are long enough. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (typeof value === 'number') return this.#number(value)
    if (Array.isArray(value)) return value.map((item) => this.value(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, of]) => [
        this.#plainText(name),
        typeof of === 'string' && isSecretName(name) ? this.#secret(of) : this.value(of),
      ]),
    )
  }

  /** What is called a password is one, whatever it looks like. */
  #secret(text: string): string {
    return text === '' ? '' : this.#instead({ start: 0, end: text.length, kind: 'SECRET' }, text)
  }

  #plainText(text: string): string {
    const found = this.#redactor.find(text)
    if (found.length === 0) return text
    let redacted = ''
    let at = 0
    for (const finding of found) {
      redacted += text.slice(at, finding.start) + this.#instead(finding, text)
      at = finding.end
    }
    return redacted + text.slice(at)
  }

  /**
   * Escapes hide what they stand for, and a number that becomes a placeholder has to become a text: what is JSON is read,
   * where anything is found or could be hidden in it, and written anew.
   */
  #jsonText(text: string): string {
    if (!text.includes('\\') && this.#redactor.find(text).length === 0) return text
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      // As a model wrote it, or cut off.
      return this.#plainText(text)
    }
    const redacted = JSON.stringify(this.value(value))
    // What nothing was found in stays as it was written.
    return redacted === JSON.stringify(value) ? text : redacted
  }

  #number(number: number): number | string {
    if (Math.abs(number) < MIN_NUMBER || !Number.isInteger(number)) return number
    const redacted = this.#plainText(String(number))
    return redacted.startsWith('[') ? redacted : number
  }

  #instead({ start, end, kind, value: known }: Finding, text: string): string {
    const value = known ?? text.slice(start, end)
    let numbers = this.#numbers.get(kind)
    if (!numbers) this.#numbers.set(kind, (numbers = new Map()))
    const number = numbers.get(value) ?? numbers.size + 1
    numbers.set(value, number)
    return `[${kind}_${number}]`
  }
}

function mayBeJson(text: string): boolean {
  const first = text[0]
  return (first === '{' && text.endsWith('}')) || (first === '[' && text.endsWith(']'))
}

function withoutOverlaps(found: Finding[]): Finding[] {
  // Sorting is stable: of two that begin together, the earlier detector's comes first.
  const ranked = found.map((finding, rank) => ({ finding, rank }))
  ranked.sort((a, b) => a.finding.start - b.finding.start || a.rank - b.rank)
  const kept: { finding: Finding; rank: number }[] = []
  for (const next of ranked) {
    let last = kept.at(-1)
    while (last && last.finding.end > next.finding.start && next.rank < last.rank) {
      kept.pop()
      last = kept.at(-1)
    }
    if (!last || last.finding.end <= next.finding.start) kept.push(next)
  }
  return kept.map(({ finding }) => finding)
}
