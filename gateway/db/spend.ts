// What was used and what it cost, read from the sums of hours.

import type { Queryable } from './pool.ts'

/** Whose spend, and from when on. */
export interface SpendQuestion {
  owner: 'key' | 'project'
  id: string
  /** whole hours */
  from: Date
  to: Date
}

export interface SpendTotal {
  tokens: number
  usd: number
}

/** @returns one total for each question, in order */
export async function sumSpend(db: Queryable, questions: SpendQuestion[]): Promise<SpendTotal[]> {
  const { rows } = await db.query<SpendTotal>(SUM, [
    questions.map(({ owner }) => owner),
    questions.map(({ id }) => id),
    questions.map(({ from }) => from),
    questions.map(({ to }) => to),
  ])
  return rows
}

// Each owner's hours are one stretch of an index: a month of one caller is 744 rows, whoever else there is.
const SUM = `
  SELECT coalesce(sum(tokens), 0)::float8 AS tokens, coalesce(sum(cost_usd), 0)::float8 AS usd
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
    WITH ORDINALITY AS wanted (owner, id, since, before, place)
  LEFT JOIN LATERAL (
    SELECT prompt_tokens + completion_tokens AS tokens, cost_usd FROM exchange_caller_hours
    WHERE owner = 'key' AND caller_id = id AND hour >= since AND hour < before
    UNION ALL
    SELECT prompt_tokens + completion_tokens, cost_usd FROM exchange_model_hours
    WHERE owner = 'project' AND project_id = id AND hour >= since AND hour < before
  ) AS hours ON true
  GROUP BY place
  ORDER BY place`
