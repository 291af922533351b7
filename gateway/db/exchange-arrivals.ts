// Table `exchange_arrivals`: which exchanges were written, in the order in which they came.
//
// Ids tell when an exchange began; what waited in a spool is written much later. A row for each batch, in the transaction
// that writes it. Numbers are given before they are committed, so that one may appear behind a higher one.

import type { Queryable } from './pool.ts'

export interface Arrival {
  number: number
  at: Date
  ids: string[]
}

export async function insertArrival(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query('INSERT INTO exchange_arrivals (ids) VALUES ($1::uuid[])', [ids])
}

/** @returns the highest there is; 0: none */
export async function lastArrival(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ last: number }>(
    'SELECT coalesce(max(number), 0)::float8 AS last FROM exchange_arrivals',
  )
  return rows[0]?.last ?? 0
}

/** In order, as many as that. @param after number; those up to it are left out, and `except` as well */
export async function readArrivals(
  db: Queryable,
  after: number,
  except: readonly number[],
  limit: number,
): Promise<Arrival[]> {
  const { rows } = await db.query<Arrival>(
    `SELECT number::float8 AS number, at, ids FROM exchange_arrivals
     WHERE number > $1::bigint AND number <> ALL ($2::bigint[]) ORDER BY number LIMIT $3`,
    [after, except, limit],
  )
  return rows
}

/** The first ones whose words are not indexed. */
export async function readUnindexed(db: Queryable, limit: number): Promise<Arrival[]> {
  const { rows } = await db.query<Arrival>(
    `SELECT number::float8 AS number, at, ids FROM exchange_arrivals
     WHERE NOT is_indexed ORDER BY number LIMIT $1`,
    [limit],
  )
  return rows
}

export async function markIndexed(db: Queryable, number: number): Promise<void> {
  await db.query('UPDATE exchange_arrivals SET is_indexed = true WHERE number = $1::bigint', [
    number,
  ])
}

/** Of those that nobody needs any more. */
export async function deleteArrivals(db: Queryable, before: Date): Promise<void> {
  await db.query('DELETE FROM exchange_arrivals WHERE is_indexed AND at < $1', [before])
}

/** @returns before when everything that was written is indexed; null: all of it is */
export async function findIndexedUntil(db: Queryable): Promise<Date | null> {
  const { rows } = await db.query<{ at: Date | null }>(
    'SELECT min(at) AS at FROM exchange_arrivals WHERE NOT is_indexed',
  )
  return rows[0]?.at ?? null
}
