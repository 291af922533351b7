// What the indexer of words does to the tables.

import type { PoolClient } from 'pg'

import { deleteArrivals, markIndexed, readUnindexed } from './exchange-arrivals.ts'
import { indexWords, markWordless, NO_WORDS, summarizeRanges } from './exchange-words.ts'
import { isRefusal } from './refusal.ts'
import type { Arrival } from './exchange-arrivals.ts'
import type { Pool } from './pool.ts'

/** any number, the same in every gateway: "word" in ASCII */
const LOCK = '2003792484'
/** for whoever watches what comes */
const KEEP_MS = 10 * 60_000
/** lock_not_available: somebody vacuums */
const LOCKED = '55P03'

/** @param language a text search configuration, or NO_WORDS */
export function createIndexTables(pool: Pool, language: string) {
  return {
    isRefusal,
    /** The lock goes with the connection, whatever happens to this process. */
    async alone(work: () => Promise<void>): Promise<void> {
      const client = await pool.connect()
      let isHeld = false
      try {
        isHeld = await lock(client)
        if (isHeld) await work()
      } finally {
        const isFree = !isHeld || (await unlock(client))
        client.release(!isFree)
      }
    },
    async next(): Promise<Arrival | null> {
      const [arrival = null] = await readUnindexed(pool, 1)
      return arrival
    },
    index: async (ids: readonly string[]) => {
      if (language !== NO_WORDS) await indexWords(pool, ids, language)
    },
    pass: (id: string) => markWordless(pool, id),
    done: ({ number }: Arrival) => markIndexed(pool, number),
    async tidy(): Promise<void> {
      await deleteArrivals(pool, new Date(Date.now() - KEEP_MS))
      const client = await pool.connect()
      try {
        await client.query(`SET lock_timeout = '50ms'`)
        await summarizeRanges(client)
      } catch (error) {
        if ((error as { code?: string }).code !== LOCKED) throw error
      } finally {
        const isReset = await client.query('RESET lock_timeout').then(
          () => true,
          () => false,
        )
        client.release(!isReset)
      }
    },
  }
}

async function lock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `SELECT pg_try_advisory_lock(${LOCK}) AS held`,
  )
  return rows[0]?.held ?? false
}

async function unlock(client: PoolClient): Promise<boolean> {
  return client.query(`SELECT pg_advisory_unlock(${LOCK})`).then(
    () => true,
    () => false,
  )
}
