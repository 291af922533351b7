// Table `shadow_answers`: what a version that nobody sees answered, beside what the live one did.
//
// A shadow's text lives as long as the exchange's own: it is read only with that, and goes with it, whatever takes that
// away (its time, its project's, somebody who wants to be forgotten).
//
// Knows: SQL. Does not know: how answers are compared.

import { lowestIdAt } from './partitions.ts'
import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export interface ShadowRow {
  exchangeId: string
  model: string
  liveVersion: string
  version: string
  upstream: string
  outcome: 'completed' | 'failed'
  errorCode: string | null
  /** null where no texts are kept */
  answer: string[] | null
  finishReasons: string[]
  similarity: number | null
  promptTokens: number | null
  completionTokens: number | null
  liveCompletionTokens: number | null
  costUsd: number | null
  timeToFirstTokenMs: number | null
  totalMs: number
  liveTimeToFirstTokenMs: number | null
  liveTotalMs: number
}

/** With the live version's answer beside it; both null where texts were not asked for, or are not kept. */
export interface ReadShadow extends ShadowRow {
  liveAnswer: string[] | null
}

export async function insertShadowAnswer(db: Queryable, row: ShadowRow): Promise<void> {
  await db.query(
    `INSERT INTO shadow_answers
       (exchange_id, model, live_version, version, upstream, outcome, error_code, answer, finish_reasons, similarity,
        prompt_tokens, completion_tokens, live_completion_tokens, cost_usd, time_to_first_token_ms, total_ms,
        live_time_to_first_token_ms, live_total_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
     ON CONFLICT (exchange_id) DO NOTHING`,
    [
      row.exchangeId,
      row.model,
      row.liveVersion,
      row.version,
      row.upstream,
      row.outcome,
      row.errorCode,
      row.answer,
      row.finishReasons,
      row.similarity,
      row.promptTokens,
      row.completionTokens,
      row.liveCompletionTokens,
      row.costUsd?.toFixed(9) ?? null,
      row.timeToFirstTokenMs,
      row.totalMs,
      row.liveTimeToFirstTokenMs,
      row.liveTotalMs,
    ],
  )
}

export interface ShadowFilter {
  model: string
  /** the shadow's */
  version?: string
  since?: Date
  until?: Date
  maxSimilarity?: number
}

const WHERE = `
  model = $1
  AND ($2::text IS NULL OR version = $2)
  AND ($3::uuid IS NULL OR exchange_id >= $3)
  AND ($4::uuid IS NULL OR exchange_id < $4)
  AND ($5::real IS NULL OR similarity <= $5)`

const valuesOf = ({ model, version, since, until, maxSimilarity }: ShadowFilter) => [
  model,
  version,
  since && lowestIdAt(since.getTime()),
  until && lowestIdAt(until.getTime()),
  maxSimilarity,
]

/** Newest first. */
export async function listShadowAnswers(
  db: Queryable,
  filter: ShadowFilter,
  page: Page,
  withTexts: boolean,
): Promise<Paged<ReadShadow>> {
  const { rows } = await db.query<ReadShadow>(
    `SELECT exchange_id AS "exchangeId", model, live_version AS "liveVersion", version, upstream, outcome,
       error_code AS "errorCode", finish_reasons AS "finishReasons", similarity, prompt_tokens AS "promptTokens",
       completion_tokens AS "completionTokens", live_completion_tokens AS "liveCompletionTokens",
       cost_usd::float8 AS "costUsd", time_to_first_token_ms AS "timeToFirstTokenMs", total_ms AS "totalMs",
       live_time_to_first_token_ms AS "liveTimeToFirstTokenMs", live_total_ms AS "liveTotalMs",
       CASE WHEN texts.id IS NOT NULL THEN shadow_answers.answer END AS answer, texts.answer AS "liveAnswer"
     FROM shadow_answers LEFT JOIN exchange_bodies texts ON $8 AND texts.id = exchange_id
     WHERE ${WHERE} AND ($6::uuid IS NULL OR exchange_id < $6)
     ORDER BY exchange_id DESC LIMIT $7`,
    [...valuesOf(filter), page.after, page.limit + 1, withTexts],
  )
  return paged(rows, page)
}

export interface ShadowSummary {
  version: string
  liveVersion: string
  requests: number
  failed: number
  /** word for word */
  equal: number
  /** null where none completed; as all that follow */
  meanSimilarity: number | null
  medianSimilarity: number | null
  p50Ms: number | null
  p95Ms: number | null
  liveP50Ms: number | null
  liveP95Ms: number | null
  /** medians of the differences, the shadow's less the live one's */
  firstTokenDifferenceMs: number | null
  differenceMs: number | null
  costUsd: number
}

/** For each pair of versions, the most requests first. */
export async function summariseShadows(
  db: Queryable,
  filter: ShadowFilter,
): Promise<ShadowSummary[]> {
  const quantile = (at: number, of: string) =>
    `percentile_cont(${at}) WITHIN GROUP (ORDER BY ${of}) FILTER (WHERE outcome = 'completed')`
  const { rows } = await db.query<ShadowSummary>(
    `SELECT version, live_version AS "liveVersion", count(*)::float8 AS requests,
       (count(*) FILTER (WHERE outcome = 'failed'))::float8 AS failed,
       (count(*) FILTER (WHERE similarity = 1))::float8 AS equal,
       avg(similarity) AS "meanSimilarity", ${quantile(0.5, 'similarity')} AS "medianSimilarity",
       ${quantile(0.5, 'total_ms')} AS "p50Ms", ${quantile(0.95, 'total_ms')} AS "p95Ms",
       ${quantile(0.5, 'live_total_ms')} AS "liveP50Ms", ${quantile(0.95, 'live_total_ms')} AS "liveP95Ms",
       ${quantile(0.5, 'time_to_first_token_ms - live_time_to_first_token_ms')} AS "firstTokenDifferenceMs",
       ${quantile(0.5, 'total_ms - live_total_ms')} AS "differenceMs",
       coalesce(sum(cost_usd), 0)::float8 AS "costUsd"
     FROM shadow_answers WHERE ${WHERE}
     GROUP BY version, live_version ORDER BY count(*) DESC, version, live_version`,
    valuesOf(filter),
  )
  return rows
}

/** Texts whose exchange's own are gone. @param before a younger one without a row may be on its way */
export async function forgetShadowTexts(db: Queryable, before: Date): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE shadow_answers SET answer = NULL
     WHERE answer IS NOT NULL
       AND (exchange_id < $1 OR EXISTS (SELECT FROM exchanges WHERE id = exchange_id))
       AND NOT EXISTS (SELECT FROM exchange_bodies WHERE id = exchange_id)`,
    [lowestIdAt(before.getTime())],
  )
  return rowCount ?? 0
}

/** With the days of their exchanges. */
export async function deleteShadowAnswersBefore(db: Queryable, day: Date): Promise<number> {
  const { rowCount } = await db.query('DELETE FROM shadow_answers WHERE exchange_id < $1', [
    lowestIdAt(day.getTime()),
  ])
  return rowCount ?? 0
}
