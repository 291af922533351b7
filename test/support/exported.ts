// Exchanges in real tables, many at once, and DuckDB to read back what was made of them.

import type { TestContext } from 'node:test'

import { migrate } from '../../gateway/db/migrate.ts'
import { ensurePartitions, dayOf } from '../../gateway/db/partitions.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { TestPostgres } from './postgres.ts'

/** Tables that are up to date, with nothing in them. */
export async function exchangeTables(t: TestContext, postgres: TestPostgres): Promise<Pool> {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return pool
}

/**
 * Rows of one UTC day, `stepMs` apart from the time that is given on, with sums in exchange_model_hours as the log's writer
 * leaves them. Values differ from row to row, and some are null.
 */
export async function insertExchanges(
  pool: Pool,
  from: Date,
  count: number,
  { stepMs = 10, withBodies = false }: { stepMs?: number; withBodies?: boolean } = {},
): Promise<void> {
  const lastMs = from.getTime() + (count - 1) * stepMs
  const days = [dayOf(from.getTime()), dayOf(lastMs)]
  await ensurePartitions(pool, days[0] === days[1] ? days.slice(1) : days)
  await pool.query(INSERT, [from.getTime(), count, stepMs])
  await pool.query(HOURS, [from, new Date(lastMs + 1)])
  if (withBodies) await pool.query(BODIES, [from, new Date(lastMs + 1)])
}

/** UUIDv7 of the row's millisecond, with the row's number behind it. */
const ID = `(overlay(lpad(to_hex(ms), 12, '0') placing '-' from 9 for 0)
  || '-7' || lpad(to_hex(n % 4096), 3, '0') || '-8000-' || substr(md5(ms::text || n), 1, 12))::uuid`

const INSERT = `
  INSERT INTO exchanges (
    id, started_at, caller_id, caller_name, project_id, end_user, session, tags, metadata, method, route,
    requested_model, model, version, upstream, attempt_count, attempts, streamed, finish_reasons, prompt_tokens,
    cached_tokens, completion_tokens, is_usage_estimated, cost_usd, queue_ms, time_to_first_token_ms, total_ms,
    outcome, status, error_code, error_message, is_stored
  )
  SELECT ${ID}, to_timestamp(ms / 1000.0), md5((n % 7)::text)::uuid, 'caller ' || n % 7,
    CASE n % 3 WHEN 0 THEN NULL ELSE md5('p' || n % 3)::uuid END, 'user-' || n % 1000, NULL,
    CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY['team', 'a "b", c ' || n % 5] END,
    CASE n % 5 WHEN 0 THEN jsonb_build_object('ticket', n::text) END, 'POST', '/v1/chat/completions', 'guide',
    'guide', 'guide@' || n % 3, 'local', 1, NULL, n % 2 = 0, '{stop}', n % 900, n % 10,
    CASE WHEN n % 11 = 0 THEN NULL ELSE n % 200 END, false, CASE WHEN n % 6 > 0 THEN n % 977 * 0.000000013 END,
    n % 13 * 0.37, NULL, 100 + n % 4000 * 0.91, CASE WHEN n % 11 = 0 THEN 'failed' ELSE 'completed' END,
    CASE WHEN n % 11 = 0 THEN 502 ELSE 200 END, CASE WHEN n % 11 = 0 THEN 'upstream_error' END, NULL, false
  FROM (SELECT n, $1::bigint + n * $3::bigint AS ms FROM generate_series(0, $2::integer - 1) AS n) AS rows`

const HOURS = `
  INSERT INTO exchange_model_hours AS hours (
    project_id, hour, model, version, upstream, requests, cancelled, failed, refused, prompt_tokens,
    cached_tokens, completion_tokens, cost_usd, total_ms_counts, time_to_first_token_ms_counts
  )
  SELECT '', date_trunc('hour', started_at, 'UTC'), '', '', '', count(*), 0, 0, 0, 0, 0, 0, 0, '{}', '{}'
  FROM exchanges WHERE started_at >= $1 AND started_at < $2 GROUP BY 2
  ON CONFLICT (project_id, hour, model, version, upstream) DO UPDATE SET
    requests = hours.requests + excluded.requests`

const BODIES = `
  INSERT INTO exchange_bodies (id, prompt, answer, parameters)
  SELECT id, json_build_array(json_build_object('role', 'user', 'content', 'Question of ' || end_user)),
    ARRAY['=1+1 is ' || prompt_tokens], '{"temperature": 0.5}'
  FROM exchanges WHERE started_at >= $1 AND started_at < $2`

type Ask = (sql: string) => Promise<Record<string, unknown>[]>

/** null, with the reason told to the test, where DuckDB has no build for this machine. */
export async function openDuckdb(t: TestContext): Promise<Ask | null> {
  const { DuckDBInstance } = await import('@duckdb/node-api').catch((error: unknown) => {
    t.skip(`DuckDB can't be loaded here: ${String(error)}`)
    return { DuckDBInstance: null }
  })
  if (!DuckDBInstance) return null
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  t.after(() => {
    connection.closeSync()
    instance.closeSync()
  })
  return async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson()
}
