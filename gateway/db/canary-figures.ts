// What a canary and the live version have answered side by side, added up from the exchange log.
//
// Counts and times are those since the canary has had its present share: as long as that stays the same, both see the
// same hours. Over steps of different shares they would not (see docs/canaries.md). Ratings are those of all of the trial:
// they are few, and come when the step is over in which the answer was given.
//
// An exchange counts for a version that answered it, or that failed at it: one that another version then answered is in
// `attempts`. What was refused, what came from the cache and what a pinned version answered (it has no deployment)
// counts for nobody.
//
// Times are those of exchanges that the first one asked answered. A client that left before the first token waited at
// least until then: that is its time to the first token, or a version so slow that everybody leaves would have none.
//
// Knows: SQL. Does not know: what the figures are good for.

import { lowestIdAt } from './partitions.ts'
import type { Queryable } from './pool.ts'

export interface CanaryQuestion {
  model: string
  canary: string
  /** versions that it is compared with */
  live: readonly string[]
  /** when the canary began, and the ids of the deployments that began it and its present share */
  since: Date
  deployment: number
  step: number
  /** error codes that speak against the version */
  faults: readonly string[]
  /** times above the factor of live's 95th percentile are counted */
  factors: { timeToFirstToken: number; total: number }
}

interface Side {
  isCanary: boolean
  seen: number
  failed: number
  completed: number
  declined: number
  firstCount: number
  firstP95: number | null
  firstAbove: number
  totalCount: number
  totalP95: number | null
  totalAbove: number
  rated: number
  ratings: number
  ratingSquares: number
}

/** @returns for each side that has any exchanges */
export async function readCanaryFigures(
  db: Queryable,
  { model, canary, live, since, deployment, step, faults, factors }: CanaryQuestion,
): Promise<Side[]> {
  const { rows } = await db.query<Side>(FIGURES, [
    lowestIdAt(since.getTime() - CLOCKS_APART_MS),
    model,
    deployment,
    canary,
    live,
    faults,
    factors.timeToFirstToken,
    factors.total,
    step,
  ])
  return rows
}

/**
 * An exchange's id has the time of the gateway that answered, the entry that of the one that wrote it. Deployments say which
 * exchanges are meant; ids, which are in the order of time, that those before need not be read.
 */
const CLOCKS_APART_MS = 600_000

const P95 = (of: string) => `percentile_disc(0.95) WITHIN GROUP (ORDER BY ${of})`

const FIGURES = `
  WITH seen AS MATERIALIZED (
    SELECT e.id, is_canary, by_side, failed, outcome, in_step,
      is_declined IS TRUE OR coalesce(finish_reasons && '{content_filter}'::text[], false) AS declined,
      CASE WHEN in_step AND by_side AND NOT failed AND attempts IS NULL THEN
        coalesce(time_to_first_token_ms, CASE outcome WHEN 'cancelled' THEN total_ms END)
      END AS first_ms,
      CASE WHEN in_step AND by_side AND NOT failed AND attempts IS NULL THEN total_ms END AS total_ms
    FROM exchanges e
    CROSS JOIN LATERAL (VALUES (true, ARRAY[$4::text]), (false, $5::text[])) AS side (is_canary, versions)
    CROSS JOIN LATERAL (
      SELECT coalesce(version = ANY(versions), false) AS by_side, e.deployment >= $9 AS in_step
    ) AS asked
    CROSS JOIN LATERAL (
      SELECT by_side AND outcome = 'failed' AND coalesce(error_code = ANY($6::text[]), false)
        OR attempts IS NOT NULL AND EXISTS (
          SELECT FROM jsonb_array_elements(attempts) AS attempt
          WHERE attempt ->> 'version' = ANY(versions) AND attempt ->> 'error' = ANY($6::text[])
        ) AS failed
    ) AS judged
    WHERE e.id >= $1 AND e.deployment >= $3
      AND e.deployment IN (SELECT id FROM deployments WHERE model = $2 AND id >= $3) AND e.cache IS DISTINCT FROM 'hit'
      AND (failed OR by_side AND outcome IN ('completed', 'cancelled'))
  ), slow AS MATERIALIZED (
    SELECT ${P95('first_ms')} AS first_ms, ${P95('total_ms')} AS total_ms FROM seen WHERE NOT is_canary
  ), rated AS MATERIALIZED (
    SELECT is_canary, avg(coalesce((score - 1) / 4.0, CASE thumb WHEN 'up' THEN 1 ELSE 0 END)) AS rating
    FROM seen JOIN feedback ON exchange_id = seen.id
    WHERE by_side AND is_confirmed AND exchange_id >= $1 AND (score IS NOT NULL OR thumb IS NOT NULL)
    GROUP BY seen.id, is_canary
  ), ratings AS MATERIALIZED (
    SELECT is_canary, count(*) AS rated, sum(rating) AS ratings, sum(rating * rating) AS squares
    FROM rated GROUP BY is_canary
  )
  SELECT seen.is_canary AS "isCanary", (count(*) FILTER (WHERE in_step))::float8 AS seen,
    (count(*) FILTER (WHERE in_step AND failed))::float8 AS failed,
    (count(*) FILTER (WHERE in_step AND NOT failed AND outcome = 'completed'))::float8 AS completed,
    (count(*) FILTER (
      WHERE in_step AND NOT failed AND outcome = 'completed' AND declined
    ))::float8 AS declined,
    count(seen.first_ms)::float8 AS "firstCount", ${P95('seen.first_ms')} AS "firstP95",
    (count(*) FILTER (WHERE seen.first_ms > slow.first_ms * $7::float8))::float8 AS "firstAbove",
    count(seen.total_ms)::float8 AS "totalCount", ${P95('seen.total_ms')} AS "totalP95",
    (count(*) FILTER (WHERE seen.total_ms > slow.total_ms * $8::float8))::float8 AS "totalAbove",
    coalesce(max(rated), 0)::float8 AS rated, coalesce(max(ratings), 0)::float8 AS ratings,
    coalesce(max(squares), 0)::float8 AS "ratingSquares"
  FROM seen CROSS JOIN slow LEFT JOIN ratings USING (is_canary)
  GROUP BY seen.is_canary`
