// Several statements that happen together or not at all.

import pg from 'pg'

import type { Pool } from './pool.ts'

const UNIQUE_VIOLATION = '23505'

/** @param work is undone as a whole where it throws */
export async function inTransaction<T>(
  pool: Pool,
  work: (transaction: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    client.release()
    return result
  } catch (error) {
    // A connection that can't even roll back is not given to anybody else.
    const isUndone = await client.query('ROLLBACK').then(
      () => true,
      () => false,
    )
    client.release(!isUndone)
    throw error
  }
}

/** Somebody else has that name already. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION
}
