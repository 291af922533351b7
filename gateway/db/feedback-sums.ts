// What feedback comes to: counts by model, version, caller or time, and the exchanges that were rated worst.
//
// Sums are made when they are asked for: a word is given for one exchange in dozens, and changes its mind.

import { lowestIdAt } from './partitions.ts'
import type { Queryable } from './pool.ts'

/** what it is summed up by → the column, as text */
const KEYS = {
  model: 'model',
  version: 'version',
  caller: 'caller_name',
  end_user: `nullif(end_user, '')`,
  hour: `to_char(date_trunc('hour', given_at, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`,
  day: `to_char(given_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`,
}
export type SumKey = keyof typeof KEYS
export const SUM_KEYS = Object.keys(KEYS) as SumKey[]

export interface SumFilter {
  model?: string
  version?: string
  since?: Date
  until?: Date
}

interface Ratings {
  up: number
  down: number
  /** how many gave a score, and what they gave on average */
  scored: number
  meanScore: number | null
  comments: number
  corrections: number
}

export interface FeedbackSum extends Ratings {
  /** null: not known */
  key: string | null
  given: number
}

export interface RatedExchange extends Ratings {
  exchangeId: string
  model: string | null
  version: string | null
  lastAt: Date
}

const RATINGS = `
  count(*) FILTER (WHERE thumb = 'up')::int AS up,
  count(*) FILTER (WHERE thumb = 'down')::int AS down,
  count(score)::int AS scored,
  avg(score)::float8 AS "meanScore",
  count(comment)::int AS comments,
  count(correction)::int AS corrections`

const MATCHES = `
  is_confirmed
  AND ($1::text IS NULL OR model = $1)
  AND ($2::text IS NULL OR version = $2)
  AND ($3::uuid IS NULL OR id >= $3)
  AND ($4::uuid IS NULL OR id < $4)`

const valuesOf = ({ model, version, since, until }: SumFilter) => [
  model,
  version,
  since && lowestIdAt(since.getTime()),
  until && lowestIdAt(until.getTime()),
]

/** Times in their order, names by how much was said of them. */
export async function sumFeedback(
  db: Queryable,
  by: SumKey,
  filter: SumFilter,
  limit: number,
): Promise<FeedbackSum[]> {
  const order = by === 'hour' || by === 'day' ? '1 DESC' : 'given DESC, 1'
  const { rows } = await db.query<FeedbackSum>(
    `SELECT ${KEYS[by]} AS key, count(*)::int AS given, ${RATINGS}
     FROM feedback WHERE ${MATCHES} GROUP BY 1 ORDER BY ${order} LIMIT $5`,
    [...valuesOf(filter), limit],
  )
  return rows
}

/** Thumbs down first, then the lowest scores; those that nobody rated badly are left out. */
export async function listWorstRated(
  db: Queryable,
  filter: SumFilter,
  limit: number,
): Promise<RatedExchange[]> {
  const { rows } = await db.query<RatedExchange>(
    `SELECT exchange_id AS "exchangeId", min(model) AS model, min(version) AS version,
            max(updated_at) AS "lastAt", ${RATINGS}
     FROM feedback WHERE ${MATCHES}
     GROUP BY exchange_id
     HAVING count(*) FILTER (WHERE thumb = 'down') > 0 OR min(score) <= 3
     ORDER BY
       count(*) FILTER (WHERE thumb = 'down') - count(*) FILTER (WHERE thumb = 'up') DESC,
       avg(score) NULLS LAST, exchange_id DESC
     LIMIT $5`,
    [...valuesOf(filter), limit],
  )
  return rows
}
