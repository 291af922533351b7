// Exchanges as they come into the tables, whoever wrote them: this gateway, another one, or a spool that waited.
//
// Knows: the order of arrival. Does not know: HTTP, SQL.

import { lastArrival, readArrivals } from '../db/exchange-arrivals.ts'
import { whichMeet } from '../db/exchange-pages.ts'
import { readExchanges } from '../db/exchange-rows.ts'
import { visibleTo } from './exchanges.ts'
import type { Reader } from './exchanges.ts'
import type { ExchangeFilter } from '../db/exchange-fields.ts'
import type { ExchangeRow } from '../db/exchange-rows.ts'
import type { Pool } from '../db/pool.ts'

/** of the writer's, at once */
const BATCHES = 4
/**
 * Numbers are given before they are committed: one that was passed over may still come. Transactions of writers take
 * milliseconds, and each of them takes one number.
 */
const LOOK_BACK = 64

export class Tail {
  readonly #pool: Pool
  readonly #filter: ExchangeFilter
  readonly #seen = new Set<number>()
  #last: number

  private constructor(pool: Pool, filter: ExchangeFilter, last: number, seen: number[]) {
    this.#pool = pool
    this.#filter = filter
    this.#last = last
    for (const number of seen) this.#seen.add(number)
  }

  /** From now on. */
  static async open(pool: Pool, reader: Reader, filter: ExchangeFilter): Promise<Tail> {
    const last = await lastArrival(pool)
    const before = await readArrivals(pool, last - LOOK_BACK, [], LOOK_BACK)
    const seen = before.map(({ number }) => number)
    return new Tail(pool, visibleTo(reader, filter), last, seen)
  }

  /** What came since, oldest first, some of it where it is much. */
  async next(): Promise<{ rows: ExchangeRow[]; hasMore: boolean }> {
    const from = this.#last - LOOK_BACK
    const arrivals = await readArrivals(this.#pool, from, [...this.#seen], BATCHES)
    const ids = await whichMeet(
      this.#pool,
      this.#filter,
      arrivals.flatMap(({ ids }) => ids),
    )
    const rows = await readExchanges(this.#pool, ids)
    for (const { number } of arrivals) {
      this.#seen.add(number)
      this.#last = Math.max(this.#last, number)
    }
    for (const number of this.#seen) if (number <= this.#last - LOOK_BACK) this.#seen.delete(number)
    return { rows, hasMore: arrivals.length === BATCHES }
  }
}
