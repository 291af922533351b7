// What a proof promises, and whether it held: said as it goes, summed up in a table, told by the exit code.

import { parseArgs } from 'node:util'

import { table } from '../bench/table.ts'

export class Verdict {
  readonly #rows: string[][] = []
  #isBroken = false

  /** @param found what was measured, in words */
  hold(promise: string, isKept: boolean, found: string): void {
    this.#rows.push([promise, found, isKept ? 'kept' : 'BROKEN'])
    this.#isBroken ||= !isKept
  }

  /** Prints the table; the process ends with 1 where a promise was broken. */
  tell(): void {
    console.log(`\n${table(['promise', 'found', 'it is'], this.#rows)}\n`)
    if (this.#isBroken) process.exitCode = 1
    console.log(this.#isBroken ? 'A promise is broken.' : 'Every promise is kept.')
  }
}

const startMs = performance.now()

/** A line about what happens now, with the seconds since the start. */
export function say(text: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  console.log(`${seconds.padStart(7)} s  ${text}`)
}

/** Options of the command line, all of them numbers: `--seconds 60`. @throws Error that lists what there is */
export function readOptions<Name extends string>(
  defaults: Record<Name, number>,
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[]
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ options })
  const read = { ...defaults }
  for (const name of names) {
    const text = values[name]
    if (text === undefined) continue
    const value = Number(text)
    if (!(value > 0))
      throw new Error(`--${name} is ${JSON.stringify(text)}; it takes a number above 0.`)
    read[name] = value
  }
  return read
}

/** How often each was there, as words: `3 × a, 1 × b`. */
export function tally(texts: Iterable<string>): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  const words = [...counts].sort((a, b) => b[1] - a[1]).map(([text, n]) => `${n} × ${text}`)
  return words.length === 0 ? 'none' : words.join(', ')
}
