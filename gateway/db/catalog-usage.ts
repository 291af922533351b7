// Of the sums of hours what only the catalog asks for.
//
// Knows: SQL. Does not know: what it is asked for.

import type { Queryable } from './pool.ts'

/** Hours in which a version was asked at all. */
export async function countBusyHours(
  db: Queryable,
  version: string,
  { from, to }: { from: Date; to: Date },
): Promise<number> {
  const { rows } = await db.query<{ hours: number }>(
    `SELECT count(DISTINCT hour)::int AS hours FROM exchange_model_hours
     WHERE version = $1 AND hour >= $2 AND hour < $3 AND requests > refused`,
    [version, from, to],
  )
  return rows[0]?.hours ?? 0
}
