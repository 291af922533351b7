// When an engine whose process ended is started again.
//
// Knows: delays, and how long the last process was good. Does not know: processes, requests.

import { Backoff } from './backoff.ts'

// After this long without an end, the next one has nothing to do with the last.
const STEADY_MS = 60_000

export class Restarts {
  readonly #backoff = new Backoff()
  #timer: NodeJS.Timeout | null = null
  #readyMs = Infinity
  count = 0

  /** The process that was started is good. */
  noteReady(): void {
    this.#readyMs = performance.now()
  }

  /** @returns milliseconds until it is called */
  schedule(start: () => void): number {
    if (performance.now() - this.#readyMs > STEADY_MS) this.#backoff.reset()
    this.#readyMs = Infinity
    this.count++
    const delayMs = this.#backoff.next()
    this.#timer = setTimeout(start, delayMs)
    return delayMs
  }

  cancel(): void {
    if (this.#timer) clearTimeout(this.#timer)
  }
}
