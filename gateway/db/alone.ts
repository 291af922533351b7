// Work that one gateway does for all of them: whoever has the lock.
//
// Knows: locks of a session. Does not know: what the work is.

import type pg from 'pg'

import type { Pool } from './pool.ts'

/**
 * Does the work on a connection of its own, unless another gateway is at it.
 * @param lock any number, the same in every gateway
 * @param patienceMs for other locks that others have
 * @returns null where one is
 */
export async function asOnlyOne<T>(
  pool: Pool,
  lock: string,
  patienceMs: number,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T | null> {
  const client = await pool.connect()
  // While it is checked out nobody else hears of its end; the next query does.
  const onError = () => {}
  client.on('error', onError)
  let isClean = false
  try {
    const { rows } = await client.query<{ isMine: boolean }>(
      `SELECT pg_try_advisory_lock(${lock}) AS "isMine"`,
    )
    if (!rows[0]?.isMine) {
      isClean = true
      return null
    }
    await client.query(`SET lock_timeout = ${patienceMs}`)
    const result = await work(client)
    await client.query(`RESET lock_timeout; SELECT pg_advisory_unlock(${lock})`)
    isClean = true
    return result
  } finally {
    client.off('error', onError)
    // Locks of a session end with it.
    client.release(!isClean)
  }
}
