// The time that one attempt gets: for its first delta, between two of them, and for the whole answer.
//
// One timer for whichever of the first two runs, refreshed by each delta, and one for the whole. What runs out aborts
// the attempt's signal with the error that the backend then throws. While a delta is with its reader nobody is late but
// the reader: a client that reads slowly is no stall of what it reads.
//
// Knows: timers and signals. Does not know: targets, retries.

import { GatewayError } from '../errors.ts'
import type { Timeouts } from './route.ts'

export class TimeLimits {
  readonly #abort = new AbortController()
  readonly #outer: AbortSignal
  readonly #timeouts: Timeouts
  readonly #total: NodeJS.Timeout | undefined
  #pace: NodeJS.Timeout | undefined
  #hasBegun = false
  #isHeld = false
  /** the time between two deltas ran out while the reader had one */
  #isOverdue = false

  constructor(timeouts: Timeouts, outer: AbortSignal) {
    this.#timeouts = timeouts
    this.#outer = outer
    outer.addEventListener('abort', this.#onOuter, { once: true })
    if (outer.aborted) this.#onOuter()
    const { firstTokenMs, totalMs } = timeouts
    this.#pace = this.#after(firstTokenMs, 'gave no first token')
    this.#total = this.#after(totalMs, 'did not end its answer')
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** A piece of a long request has gone on: before it is there whole nobody can answer it. */
  asking() {
    this.#total?.refresh()
  }

  /** A delta came. */
  progressed() {
    if (this.#hasBegun) {
      this.#pace?.refresh()
      return
    }
    this.#hasBegun = true
    clearTimeout(this.#pace)
    this.#pace = this.#after(this.#timeouts.stallMs, 'stalled: nothing more came')
  }

  /** A delta goes to its reader … */
  hold() {
    this.#isHeld = true
  }

  /** … who wants the next. */
  release() {
    this.#isHeld = false
    if (!this.#isOverdue) return
    this.#isOverdue = false
    this.#pace?.refresh()
  }

  close() {
    clearTimeout(this.#pace)
    clearTimeout(this.#total)
    this.#outer.removeEventListener('abort', this.#onOuter)
  }

  readonly #onOuter = () => this.#abort.abort(this.#outer.reason)

  #after(ms: number | undefined, what: string): NodeJS.Timeout | undefined {
    if (ms === undefined) return undefined
    const timer: NodeJS.Timeout = setTimeout(() => {
      if (this.#isHeld && timer === this.#pace) {
        this.#isOverdue = true
        return
      }
      const message = `What answers for this model ${what} within ${ms} ms.`
      this.#abort.abort(new GatewayError('upstream_timeout', message))
    }, ms)
    return timer
  }
}
