// What is deleted when its time is over: days as a whole, and single rows where somebody wants them gone sooner.
//
// Knows: SQL. Does not know: when it is done, how long anything is kept.

import { asOnlyOne } from './alone.ts'
import {
  DAILY_TABLES,
  DAYS_LOCK,
  dropPartitionsBefore,
  listPartitions,
  lowestIdAt,
  TEXT_TABLES,
} from './partitions.ts'
import type pg from 'pg'
import type { Pool, Queryable } from './pool.ts'

/** any number, the same in every gateway: "keep" in ASCII */
const KEEPER_LOCK = '1801807216'
/** @returns null where another gateway is at it; see asOnlyOne */
export function asOnlyKeeper<T>(
  pool: Pool,
  patienceMs: number,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T | null> {
  return asOnlyOne(pool, KEEPER_LOCK, patienceMs, work)
}

/** @param day since 1970, UTC; @returns names of what was dropped */
export async function dropDaysBefore(
  client: Queryable,
  what: 'texts' | 'all',
  day: number,
): Promise<string[]> {
  // Nobody makes days meanwhile that are about to be dropped.
  await client.query(`SELECT pg_advisory_lock(${DAYS_LOCK})`)
  const dropped: string[] = []
  const tables = what === 'all' ? DAILY_TABLES.toReversed() : TEXT_TABLES
  try {
    for (const table of tables) dropped.push(...(await dropPartitionsBefore(client, table, day)))
  } finally {
    await client.query(`SELECT pg_advisory_unlock(${DAYS_LOCK})`)
  }
  return dropped
}

/** @returns the first and the last one that there are texts of, since 1970, UTC; null: there are none */
export async function daysOfTexts(db: Queryable): Promise<{ first: number; last: number } | null> {
  const partitions = await listPartitions(db, TEXT_TABLES[0])
  const [first, last] = [partitions[0], partitions.at(-1)]
  return first && last ? { first: first.day, last: last.day } : null
}

/** @returns the shortest time in days that a project has its texts kept; null: none has one of its own */
export async function shortestOfProjects(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ days: number | null }>(
    'SELECT min(bodies_retention_days) AS days FROM projects',
  )
  return rows[0]?.days ?? null
}

/**
 * Deletes texts of projects that don't want them that long, of exchanges that began in [from, to).
 * @param limit rows at most
 * @returns how many there were; fewer than `limit` when nothing is left
 */
export async function deleteTextsOfProjects(
  db: Queryable,
  { from, to, now }: { from: Date; to: Date; now: Date },
  limit: number,
): Promise<number> {
  let deleted = 0
  for (const table of TEXT_TABLES) {
    const { rowCount } = await db.query(
      `DELETE FROM ${table} WHERE id >= $1 AND id < $2 AND id = ANY (ARRAY(
         SELECT texts.id FROM ${table} texts
         JOIN exchanges ON exchanges.id = texts.id
         JOIN projects ON projects.id = exchanges.project_id
         WHERE texts.id >= $1 AND texts.id < $2 AND exchanges.id >= $1 AND exchanges.id < $2
           AND texts.id < exchange_id_at($3::timestamptz - make_interval(days => projects.bodies_retention_days))
         LIMIT $4
       ))`,
      [lowestIdAt(from.getTime()), lowestIdAt(to.getTime()), now, limit],
    )
    deleted = Math.max(deleted, rowCount ?? 0)
  }
  return deleted
}

/**
 * Deletes system prompts that were last said before that day and that no text refers to any more.
 * @param day since 1970, UTC
 */
export async function deleteUnusedSystemPrompts(db: Queryable, day: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM system_prompts WHERE used_on < '1970-01-01'::date + $1::integer AND NOT EXISTS (
       SELECT FROM exchange_bodies WHERE system_prompt = digest
     )`,
    [day],
  )
  return rowCount ?? 0
}

/** So that whoever filters by time alone passes over days by a few pages of each. */
export async function summarizeDay(db: Queryable, day: number): Promise<void> {
  const partition = (await listPartitions(db, 'exchanges')).find((known) => known.day === day)
  if (partition?.state !== 'attached') return
  await db.query(
    `SELECT brin_summarize_new_values(indexrelid) FROM pg_index
     JOIN pg_class ON pg_class.oid = indexrelid
     JOIN pg_am ON pg_am.oid = relam AND amname = 'brin'
     WHERE indrelid = $1::regclass`,
    [partition.name],
  )
}
