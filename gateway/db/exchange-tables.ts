// Writes batches of encoded exchanges to PostgreSQL: each batch in one transaction, each exchange once.
//
// Rows go straight into the tables. That one of them is there already is seen by the key that it would break, or
// expected where a batch may have been written before; then those that are there are left out.

import pg from 'pg'

import { timeOf, withoutKnown, writeExchanges } from './exchanges.ts'
import { dayOf, ensurePartitions } from './partitions.ts'
import { inTransaction, isUniqueViolation } from './transaction.ts'
import type { Heading } from './exchanges.ts'
import type { Pool } from './pool.ts'

export interface EncodedExchanges {
  /** Heading as JSON: what the payloads' columns are */
  heading: string
  payloads: readonly Buffer[]
  /** some of them may be there already */
  isSuspect: boolean
}

/** no partition of relation found for row */
const CHECK_VIOLATION = '23514'

function isCheckViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === CHECK_VIOLATION
}

export class ExchangeTables {
  readonly #pool: Pool
  readonly #days = new Set<number>()

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** @throws what PostgreSQL says; nothing was written then */
  async write({ heading, payloads, isSuspect }: EncodedExchanges): Promise<void> {
    const columns = JSON.parse(heading) as Heading
    await this.#ensureDays(payloads)
    try {
      await this.#write(columns, payloads, isSuspect)
    } catch (error) {
      if (isCheckViolation(error)) {
        // Days that were known are dropped when their time is over; whoever is this late has them made again.
        this.#days.clear()
        await this.#ensureDays(payloads)
      } else if (isSuspect || !isUniqueViolation(error)) {
        throw error
      }
      await this.#write(columns, payloads, true)
    }
  }

  async #write(columns: Heading, payloads: readonly Buffer[], isSuspect: boolean): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const missing = isSuspect ? await withoutKnown(client, payloads) : payloads
      if (missing.length > 0) await writeExchanges(client, columns, missing)
    })
  }

  async #ensureDays(payloads: readonly Buffer[]): Promise<void> {
    const days = [...new Set(payloads.map((payload) => dayOf(timeOf(payload))))]
    const missing = days.filter((day) => !this.#days.has(day))
    if (missing.length === 0) return
    await ensurePartitions(this.#pool, missing)
    for (const day of missing) this.#days.add(day)
  }
}
