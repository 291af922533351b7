// Finds where an answer has to end, in text that arrives in pieces.
//
// Text that may be the beginning of a stop string is held back until it is one or can't become one, so that nothing of a
// stop string is ever given out. What is held is shorter than the longest of them.
//
// Knows: text. Does not know: tokens.

export class StopStrings {
  readonly #stops: readonly string[]
  readonly #longest: number
  #held = ''
  #isFound = false
  #cutLength = 0

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
    this.#longest = Math.max(0, ...this.#stops.map((stop) => stop.length))
  }

  /** whether a stop string came; nothing after it counts */
  get isFound(): boolean {
    return this.#isFound
  }

  /** characters from the stop string on, which are no part of the answer */
  get cutLength(): number {
    return this.#cutLength
  }

  /** @returns the text that is certain to be part of the answer */
  push(text: string): string {
    if (this.#longest === 0 || text === '') return text
    const whole = this.#held + text
    let end = whole.length
    for (const stop of this.#stops) {
      const found = whole.indexOf(stop)
      if (found < 0 || found > end) continue
      end = found
      this.#isFound = true
    }
    if (!this.#isFound) end -= this.#beginningAtEndOf(whole)
    if (this.#isFound) this.#cutLength = whole.length - end
    this.#held = this.#isFound ? '' : whole.slice(end)
    return whole.slice(0, end)
  }

  /** @returns what was held back, where the answer ends for another reason */
  end(): string {
    const held = this.#held
    this.#held = ''
    return held
  }

  #beginningAtEndOf(text: string): number {
    for (let length = Math.min(this.#longest - 1, text.length); length > 0; length--) {
      const tail = text.slice(-length)
      if (this.#stops.some((stop) => stop.length > length && stop.startsWith(tail))) return length
    }
    return 0
  }
}
