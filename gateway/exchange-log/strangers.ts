// How many rows there are for requests whose caller nobody knows: enough to see what comes, and no way for who has no
// key to fill the table.
//
// The metrics count all of them, and those that leave no row; the log says so now and then.
//
// Knows: counts, time. Does not know: requests, the exchange log.

import type { Logger } from '../logger.ts'

const ROWS_PER_MINUTE = 100
const MINUTE_MS = 60_000
/** A burst is one line and not thousands; whoever is on call hears of it within this. */
const TELL_EVERY_MS = 30_000

export interface StrangersOptions {
  logger: Pick<Logger, 'warn'>
  /** one leaves no row */
  onDropped: () => void
  /** milliseconds, monotonic */
  now: () => number
}

export class Strangers {
  readonly #options: StrangersOptions
  #minuteMs = -Infinity
  #rows = 0
  #toldMs = -Infinity
  /** since the last line of the log */
  #dropped = 0

  constructor(options: StrangersOptions) {
    this.#options = options
  }

  /** One more has come. @returns whether there is a row for it */
  hasRoom(): boolean {
    const now = this.#options.now()
    if (now - this.#minuteMs >= MINUTE_MS) {
      this.#minuteMs = now
      this.#rows = 0
    }
    if (this.#rows < ROWS_PER_MINUTE) {
      this.#rows++
      return true
    }
    this.#drop(now)
    return false
  }

  #drop(now: number) {
    const { logger, onDropped } = this.#options
    this.#dropped++
    onDropped()
    if (now - this.#toldMs < TELL_EVERY_MS) return
    const context = { requests: this.#dropped, rowsPerMinute: ROWS_PER_MINUTE }
    this.#toldMs = now
    this.#dropped = 0
    logger.warn(context, 'requests with a wrong key leave no row, as there are too many of them')
  }
}
