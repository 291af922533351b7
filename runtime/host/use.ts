// When an engine was last of use, and whether it is about to be.
//
// Knows: times. Does not know: requests, states.

// Between a load and the request that it was for; without it two versions that don't fit together would throw each other
// out before either has answered.
const ARRIVAL_MS = 2_000

export class Use {
  #lastMs = Date.now()
  #isExpected = true

  /** milliseconds since 1970 */
  get lastMs(): number {
    return this.#lastMs
  }

  /** A request that it was loaded for may be on its way. */
  get isExpected(): boolean {
    return this.#isExpected && Date.now() - this.#lastMs < ARRIVAL_MS
  }

  /** Somebody asked that it be loaded. */
  expect(): void {
    this.#isExpected = true
    this.#lastMs = Date.now()
  }

  /** It has something to do. */
  touch(): void {
    this.#isExpected = false
    this.#lastMs = Date.now()
  }
}
