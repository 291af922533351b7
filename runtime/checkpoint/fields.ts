// Typed fields of a configuration, with all that is wrong with it collected into one error.
//
// Used alike for config.json and for GGUF metadata. A field that is null counts as absent, as it
// does in Hugging Face's own loader.

import { CheckpointError } from './checkpoint.ts'
import { isRecord } from './json-file.ts'

export class Fields {
  readonly #where: string
  readonly #get: (name: string) => unknown
  readonly #problems: string[]

  constructor(where: string, get: (name: string) => unknown, problems: string[] = []) {
    this.#where = where
    this.#get = get
    this.#problems = problems
  }

  /** The fields of the object in a field, whose problems count among those here. */
  within(name: string): Fields {
    const value = this.raw(name)
    const inner = isRecord(value) ? value : {}
    return new Fields(`${this.#where}: ${name}`, (key) => inner[key], this.#problems)
  }

  raw(name: string): unknown {
    return this.#get(name) ?? undefined
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined
  }

  /** A whole number of at least `least`; without a fallback the field is required. */
  count(name: string, fallback?: number, least = 1): number {
    const value = this.raw(name)
    if (value === undefined && fallback !== undefined) return fallback
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
    return this.#wrong(name, value, `a whole number of at least ${least}`)
  }

  /** A number above 0; without a fallback the field is required. */
  positive(name: string, fallback?: number): number {
    const value = this.raw(name)
    if (value === undefined && fallback !== undefined) return fallback
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    return this.#wrong(name, value, 'a number above 0')
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.raw(name) ?? fallback
    if (typeof value === 'boolean') return value
    this.#wrong(name, value, 'true or false')
    return fallback
  }

  text(name: string): string | null {
    const value = this.raw(name) ?? null
    if (value === null || typeof value === 'string') return value
    this.#wrong(name, value, 'a text')
    return null
  }

  /** A value that we can't honour, or two fields that contradict each other. */
  refuse(problem: string): void {
    this.#problems.push(problem)
  }

  /** @throws CheckpointError naming every problem that came up */
  check(): void {
    if (this.#problems.length === 0) return
    throw new CheckpointError(`${this.#where}: ${this.#problems.join('; ')}`)
  }

  /**
   * @returns NaN, with which no comparison holds: what depends on the field brings up no second
   * problem
   */
  #wrong(name: string, value: unknown, allowed: string): number {
    this.#problems.push(
      value === undefined
        ? `${name} is missing (${allowed})`
        : `${name} is ${show(value)}, allowed is ${allowed}`,
    )
    return NaN
  }
}

/** A value as an error names it; GGUF's 64-bit numbers may be bigints. */
export function show(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value ?? null)
}
