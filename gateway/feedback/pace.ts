// How often one and the same may come: a bound for what costs no tokens and is open to browsers.
//
// Of this process alone, and only of whoever came lately: what it forgets begins anew.

import { LRUCache } from 'lru-cache'

import { GatewayError } from '../errors.ts'
import { SlidingWindow } from '../limits/sliding-window.ts'

const WINDOW_MS = 60_000
const MAX_REMEMBERED = 20_000

export class Pace {
  readonly #perMinute: number
  readonly #now: () => number
  readonly #windows = new LRUCache<string, SlidingWindow>({ max: MAX_REMEMBERED })

  /** @param now milliseconds since 1970 */
  constructor(perMinute: number, now: () => number) {
    this.#perMinute = perMinute
    this.#now = now
  }

  /** @throws GatewayError 429 that says when to come back */
  take(who: string): void {
    const now = this.#now()
    const window = this.#windows.get(who) ?? new SlidingWindow(WINDOW_MS)
    this.#windows.set(who, window)
    if (window.used(now) < this.#perMinute) {
      window.add(1, now)
      return
    }
    const waitMs = window.waitFor(1, now) ?? WINDOW_MS
    throw new GatewayError(
      'rate_limit_exceeded',
      `Feedback comes too often: at most ${this.#perMinute} times a minute.`,
      { retryAfterSeconds: Math.ceil(waitMs / 1000) },
    )
  }
}
