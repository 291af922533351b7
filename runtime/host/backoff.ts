// How long to wait before an engine is started again: not at all the first time, then twice as long each time.
//
// Knows: delays. Does not know: clocks, processes.

const FIRST_MS = 500
// An engine that keeps failing costs a load every half minute: little enough for the others, soon enough once the
// cause is gone.
const MOST_MS = 30_000

export class Backoff {
  #attempts = 0

  /** milliseconds to wait before the next attempt */
  next(): number {
    const attempt = this.#attempts++
    return attempt === 0 ? 0 : Math.min(FIRST_MS * 2 ** (attempt - 1), MOST_MS)
  }

  reset(): void {
    this.#attempts = 0
  }
}
