// The tables of spend: rows appended, one for each exchange; hours rolled up from them; totals over both.
//
// No row is a counter that requests update. The roll-up makes whole hours anew from their rows, so that it can run
// twice, late, or after a crash, and rows that come late are in it the next time.
//
// Knows: SQL. Does not know: who is limited, when rows are written.

import type { Pool, Queryable } from './pool.ts'

export interface SpendRow {
  exchangeId: string
  /** when the request was admitted */
  at: Date
  /** null for the holder of the admin key */
  keyId: string | null
  projectId: string | null
  model: string
  /** full id; empty where nothing answered */
  version: string
  promptTokens: number
  /** part of promptTokens */
  cachedTokens: number
  completionTokens: number
  costUsd: number
}

/** Whose spend, and from when on. */
export interface SpendQuestion {
  owner: 'key' | 'project'
  id: string
  from: Date
  to: Date
}

export interface SpendTotal {
  tokens: number
  usd: number
}

export interface SpendPeriod extends SpendTotal {
  /** start of the hour, day or month, UTC */
  start: Date
  keyId: string | null
  projectId: string | null
  model: string
  version: string
  requests: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
}

/** Transactions that insert are over by then, as no statement may take longer than half of it. */
const LATE_COMMIT = '1 minute'
/** any number, the same in every gateway: "spend" in ASCII */
const LOCK = '495790220900'

/** @param rows as JSON texts of SpendRow */
export async function insertSpend(db: Queryable, rows: string[]): Promise<void> {
  await db.query(INSERT, [`[${rows.join(',')}]`])
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

/** What was spent from `from` until before `to`, by hour, day or month; newest rows included. */
export async function listSpend(
  db: Queryable,
  { unit, from, to }: { unit: 'hour' | 'day' | 'month'; from: Date; to: Date },
): Promise<SpendPeriod[]> {
  const { rows } = await db.query<SpendPeriod>(LIST, [unit, from, to])
  return rows
}

/** Makes the hours anew whose rows came since the last time; of several gateways at once, one does it. */
export async function rollUpSpend(pool: Pool): Promise<void> {
  const client = await pool.connect()
  try {
    // One snapshot for all of it: an hour that is forgotten is the hour that is made anew.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    const { rows } = await client.query<{ mine: boolean }>(
      `SELECT pg_try_advisory_xact_lock(${LOCK}) AS mine`,
    )
    if (rows[0]?.mine) {
      await client.query(FORGET_TOUCHED)
      await client.query(ROLL_UP)
      await client.query(ADVANCE)
    }
    await client.query('COMMIT')
    client.release()
  } catch (error) {
    // Ending the connection rolls back too, and works in whatever state it is.
    client.release(true)
    throw error
  }
}

const INSERT = `
  INSERT INTO spend (
    exchange_id, at, key_id, project_id, model, version, prompt_tokens, cached_tokens, completion_tokens, cost_usd
  )
  SELECT
    "exchangeId", at, "keyId", "projectId", model, version, "promptTokens", "cachedTokens", "completionTokens",
    "costUsd"
  FROM json_to_recordset($1) AS row (
    "exchangeId" uuid, at timestamptz, "keyId" text, "projectId" text, model text, version text,
    "promptTokens" bigint, "cachedTokens" bigint, "completionTokens" bigint, "costUsd" numeric
  )
  ON CONFLICT (exchange_id) DO NOTHING`

/** Rolled-up hours up to the one in which the roll-up last began, and single rows since. */
const FRONTIER = `(SELECT date_trunc('hour', until, 'UTC') FROM spend_rolled_up)`

/** The same columns as of the rolled-up hours, for what came since; read once, however many totals are asked for. */
const PIECES = `
  SELECT hour, key_id, project_id, model, version, requests, prompt_tokens, cached_tokens, completion_tokens, cost_usd
  FROM spend_hours
  WHERE hour < ${FRONTIER}
  UNION ALL
  SELECT
    date_trunc('hour', at, 'UTC'), key_id, project_id, model, version, count(*), sum(prompt_tokens),
    sum(cached_tokens), sum(completion_tokens), sum(cost_usd)
  FROM spend
  WHERE at >= ${FRONTIER}
  GROUP BY 1, 2, 3, 4, 5`

const SUM = `
  WITH
    wanted AS (
      SELECT owner, id, since, before, place
      FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
        WITH ORDINALITY AS wanted (owner, id, since, before, place)
    ),
    pieces AS MATERIALIZED (
      SELECT hour, key_id, project_id, prompt_tokens + completion_tokens AS tokens, cost_usd
      FROM (${PIECES}) AS pieces
      WHERE hour >= (SELECT min(since) FROM wanted)
    )
  SELECT coalesce(sum(tokens), 0)::float8 AS tokens, coalesce(sum(cost_usd), 0)::float8 AS usd
  FROM wanted
  LEFT JOIN pieces ON hour >= since AND hour < before
    AND id = CASE owner WHEN 'key' THEN key_id ELSE project_id END
  GROUP BY place
  ORDER BY place`

const LIST = `
  SELECT
    date_trunc($1, hour, 'UTC') AS start, key_id AS "keyId", project_id AS "projectId", model, version,
    sum(requests)::float8 AS requests, sum(prompt_tokens)::float8 AS "promptTokens",
    sum(cached_tokens)::float8 AS "cachedTokens", sum(completion_tokens)::float8 AS "completionTokens",
    sum(prompt_tokens + completion_tokens)::float8 AS tokens, sum(cost_usd)::float8 AS usd
  FROM (${PIECES}) AS pieces
  WHERE hour >= $2 AND hour < $3
  GROUP BY start, key_id, project_id, model, version
  ORDER BY start, key_id, model, version`

const TOUCHED = `(
  SELECT DISTINCT date_trunc('hour', at, 'UTC')
  FROM spend
  WHERE written_at > (SELECT until - interval '${LATE_COMMIT}' FROM spend_rolled_up)
)`

const FORGET_TOUCHED = `DELETE FROM spend_hours WHERE hour IN ${TOUCHED}`

const ROLL_UP = `
  INSERT INTO spend_hours (
    hour, key_id, project_id, model, version, requests, prompt_tokens, cached_tokens, completion_tokens, cost_usd
  )
  SELECT
    touched.hour, key_id, project_id, model, version, count(*), sum(prompt_tokens), sum(cached_tokens),
    sum(completion_tokens), sum(cost_usd)
  FROM ${TOUCHED} AS touched (hour)
  JOIN spend ON at >= touched.hour AND at < touched.hour + interval '1 hour'
  GROUP BY touched.hour, key_id, project_id, model, version`

/** now() is when the transaction began: what was written since is looked at again. */
const ADVANCE = `UPDATE spend_rolled_up SET until = now()`
