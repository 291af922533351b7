// When an engine was last of use, and whether it is about to be.
//
// Knows: times. Does not know: requests, states.

// Between a load and the request that it was for; without it two versions that don't fit together would throw each other
// out before either has answered.
const ARRIVAL_MS = 2_000

export class Use {
  #lastMs = Date.now()
  /** the same by a clock that nobody sets */
  #last = performance.now()
  #isExpected = true

  /** milliseconds since 1970 */
  get lastMs(): number {
    return this.#lastMs
  }

  get agoMs(): number {
    return performance.now() - this.#last
  }

  /** A request that it was loaded for may be on its way. */
  get isExpected(): boolean {
    return this.#isExpected && this.agoMs < ARRIVAL_MS
  }

  /** Somebody asked that it be loaded. */
  expect(): void {
    this.#note(true)
  }

  /** It has something to do. */
  touch(): void {
    this.#note(false)
  }

  #note(isExpected: boolean): void {
    this.#isExpected = isExpected
    this.#lastMs = Date.now()
    this.#last = performance.now()
  }
}
