// Questions that nobody waits for as long as it takes: bounded in time, on one core, and without changes.

import pg from 'pg'

import { inTransaction } from './transaction.ts'
import type { Pool, Queryable } from './pool.ts'

/** Whoever searches has given up by then, and somebody else needs the connection. */
const LIMIT_MS = 20_000

/** @throws an error that isOutOfTime() where it takes too long */
export function readOnly<T>(pool: Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (transaction) => {
    // Compiling costs more than a page does; a second core is for whoever asks a model.
    await transaction.query(
      `SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = ${LIMIT_MS}; SET LOCAL jit = off;
       SET LOCAL max_parallel_workers_per_gather = 0`,
    )
    return work(transaction)
  })
}

const QUERY_CANCELED = '57014'

export function isOutOfTime(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === QUERY_CANCELED
}
