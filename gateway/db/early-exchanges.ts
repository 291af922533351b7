// Table `exchanges_before_days`: what was logged before the log's days were tables. Nothing is added to it and nobody reads it;
// it is there so that an upgrade deletes nothing, and goes when its rows' time is over.
//
// Knows: SQL. Does not know: how long anything is kept.

import { lowestIdAt } from './partitions.ts'
import type { Queryable } from './pool.ts'

/** @returns false: there is none any more */
export async function hasEarlyExchanges(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ isThere: boolean }>(
    `SELECT to_regclass('exchanges_before_days') IS NOT NULL AS "isThere"`,
  )
  return rows[0]?.isThere ?? false
}

/**
 * Takes the texts out of rows that began before that.
 * @returns how many rows there were; fewer than `limit` when nothing is left
 */
export async function forgetEarlyTexts(
  db: Queryable,
  before: Date,
  limit: number,
): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE exchanges_before_days SET prompt = NULL, answer = NULL, parameters = NULL
     WHERE id = ANY (ARRAY(
       SELECT id FROM exchanges_before_days
       WHERE id < $1 AND (prompt IS NOT NULL OR answer IS NOT NULL OR parameters IS NOT NULL) LIMIT $2
     ))`,
    [lowestIdAt(before.getTime()), limit],
  )
  return rowCount ?? 0
}

/**
 * Deletes rows that began before that, and with the last one the table.
 * @returns how many there were; fewer than `limit` when nothing is left
 */
export async function deleteEarlyExchanges(
  db: Queryable,
  before: Date,
  limit: number,
): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM exchanges_before_days
     WHERE id = ANY (ARRAY(SELECT id FROM exchanges_before_days WHERE id < $1 ORDER BY id LIMIT $2))`,
    [lowestIdAt(before.getTime()), limit],
  )
  if ((rowCount ?? 0) === limit) return limit
  const { rows } = await db.query('SELECT 1 FROM exchanges_before_days LIMIT 1')
  if (rows.length === 0) await db.query('DROP TABLE exchanges_before_days')
  return rowCount ?? 0
}
