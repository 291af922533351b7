// Table `scores`: what evaluations found, one row for each exchange, name and evaluator.
//
// A pipeline that runs again says the same thing again: what is there is replaced.

import { randomUUIDv7 } from 'node:crypto'

import { lowestIdAt } from './partitions.ts'
import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export interface NewScore {
  exchangeId: string
  name: string
  /** '' where nobody said */
  evaluator: string
  value: number | null
  label: string | null
  comment: string | null
}

export interface Score extends NewScore {
  id: string
  createdAt: Date
  updatedAt: Date
}

export interface ScoreFilter {
  exchangeId?: string
  name?: string
  evaluator?: string
  label?: string
  minValue?: number
  maxValue?: number
  since?: Date
  until?: Date
}

const COLUMNS = `
  id, exchange_id AS "exchangeId", name, evaluator, value, label, comment, created_at AS "createdAt",
  updated_at AS "updatedAt"`

/** In one statement: all of them or none. @param scores each exchange, name and evaluator once */
export async function upsertScores(
  db: Queryable,
  scores: readonly NewScore[],
  at: Date,
): Promise<Score[]> {
  const { rows } = await db.query<Score>(
    `INSERT INTO scores
       (id, exchange_id, name, evaluator, value, label, comment, created_at, updated_at)
     SELECT id, exchange_id, name, evaluator, value, label, comment, $8, $8
     FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[])
       AS given (id, exchange_id, name, evaluator, value, label, comment)
     ON CONFLICT (exchange_id, name, evaluator) DO UPDATE SET
       value = excluded.value, label = excluded.label, comment = excluded.comment,
       updated_at = excluded.updated_at
     RETURNING ${COLUMNS}`,
    [
      scores.map(() => randomUUIDv7()),
      scores.map(({ exchangeId }) => exchangeId),
      scores.map(({ name }) => name),
      scores.map(({ evaluator }) => evaluator),
      scores.map(({ value }) => value),
      scores.map(({ label }) => label),
      scores.map(({ comment }) => comment),
      at,
    ],
  )
  return rows
}

/** Newest first. */
export async function listScores(
  db: Queryable,
  filter: ScoreFilter,
  page: Page,
): Promise<Paged<Score>> {
  const { rows } = await db.query<Score>(
    `SELECT ${COLUMNS} FROM scores
     WHERE ($1::uuid IS NULL OR exchange_id = $1)
       AND ($2::text IS NULL OR name = $2)
       AND ($3::text IS NULL OR evaluator = $3)
       AND ($4::text IS NULL OR label = $4)
       AND ($5::float8 IS NULL OR value >= $5)
       AND ($6::float8 IS NULL OR value <= $6)
       AND ($7::uuid IS NULL OR id >= $7)
       AND ($8::uuid IS NULL OR id < $8)
       AND ($9::uuid IS NULL OR id < $9)
     ORDER BY id DESC LIMIT $10`,
    [
      filter.exchangeId,
      filter.name,
      filter.evaluator,
      filter.label,
      filter.minValue,
      filter.maxValue,
      filter.since && lowestIdAt(filter.since.getTime()),
      filter.until && lowestIdAt(filter.until.getTime()),
      page.after,
      page.limit + 1,
    ],
  )
  return paged(rows, page)
}

export async function deleteScore(db: Queryable, id: string): Promise<Score | null> {
  const { rows } = await db.query<Score>(`DELETE FROM scores WHERE id = $1 RETURNING ${COLUMNS}`, [
    id,
  ])
  return rows[0] ?? null
}

/** With the days of their exchanges. @returns how many there were */
export async function deleteScoresBefore(db: Queryable, day: Date): Promise<number> {
  const { rowCount } = await db.query('DELETE FROM scores WHERE exchange_id < $1', [
    lowestIdAt(day.getTime()),
  ])
  return rowCount ?? 0
}
