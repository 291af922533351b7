// Questions that read much: they change nothing, and end when they have taken too long.

import pg from 'pg'

import { inTransaction } from './transaction.ts'
import type { Pool } from './pool.ts'

/** A question that takes longer is not one to wait for in front of a screen. Shorter than the pool's own patience. */
const MOST_MS = 15_000
/** Groups that don't fit are sorted on the disk, which takes three times as long. */
const WORK_MEM = '64MB'
const QUERY_CANCELED = '57014'

/** @throws QueryTooSlow, or what PostgreSQL says */
export async function readOnly<T>(
  pool: Pool,
  work: (db: pg.PoolClient) => Promise<T>,
  mostMs = MOST_MS,
): Promise<T> {
  try {
    return await inTransaction(pool, async (transaction) => {
      await transaction.query('SET TRANSACTION READ ONLY')
      // Compiling a hundred sums takes longer than summing up; a second core is for whoever asks a model.
      await transaction.query(
        `SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0;
         SET LOCAL work_mem = '${WORK_MEM}'; SET LOCAL statement_timeout = ${mostMs}`,
      )
      return work(transaction)
    })
  } catch (error) {
    const isLate = error instanceof pg.DatabaseError && error.code === QUERY_CANCELED
    throw isLate ? new QueryTooSlow(mostMs, { cause: error }) : error
  }
}

export class QueryTooSlow extends Error {
  override name = 'QueryTooSlow'

  constructor(mostMs: number, options: ErrorOptions) {
    super(`PostgreSQL took longer than ${mostMs / 1000} s.`, options)
  }
}
