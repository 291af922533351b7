// Whose exchanges are, and whether they are there, by their rows.

import type { Queryable } from './pool.ts'
import type { ExchangeHead } from '../feedback/recent-exchanges.ts'

/** @returns null where its row is not there, or not yet */
export async function findExchangeHead(db: Queryable, id: string): Promise<ExchangeHead | null> {
  const { rows } = await db.query<ExchangeHead>(
    `SELECT id, caller_id AS "callerId", project_id AS "projectId", end_user AS "endUser", model, version,
            is_stored AS "isStored"
     FROM exchanges WHERE id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** @returns those of the ids that have a row */
export async function findKnownExchanges(
  db: Queryable,
  ids: readonly string[],
): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>(
    'SELECT id FROM exchanges WHERE id = ANY($1::uuid[])',
    [ids],
  )
  return new Set(rows.map(({ id }) => id))
}
