// Views for tools that read: what docs/reporting.md says of them, and that a range of time reads its days alone.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { lowestIdAt } from '../../../gateway/db/partitions.ts'
import { Keeper } from '../../../gateway/exchange-log/keeper.ts'
import { exchangeAt } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Pool } from '../../../gateway/db/pool.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

const postgres = usePostgres()

const readPage = () => readFile(new URL('../../../docs/reporting.md', import.meta.url), 'utf8')

async function openReports(t: TestContext, records: ExchangeRecord[] = []) {
  const pool = await postgres.pool(t)
  const { log } = await openExchangeLog(t, pool)
  for (const record of records) log.append(record)
  await log.flush()
  return pool
}

/** What a query's plan says. */
async function explain(pool: Pool, sql: string, options = ''): Promise<string> {
  const { rows } = await pool.query<Record<'QUERY PLAN', string>>(
    `EXPLAIN (COSTS off${options}) ${sql}`,
  )
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}

const daysIn = (plan: string) => [...new Set(plan.match(/_(2026\d{4})/g))].sort()

test('the page tells of every view and of every column, in its order', async (t) => {
  const pool = await openReports(t)
  const { rows } = await pool.query<{ view: string; columns: string[] }>(
    `SELECT table_name AS view, array_agg(column_name::text ORDER BY ordinal_position) AS columns
     FROM information_schema.columns
     WHERE table_schema = current_schema AND table_name LIKE 'report\\_%'
     GROUP BY 1`,
  )
  const views = Object.fromEntries(rows.map(({ view, columns }) => [view, columns]))
  const page = await readPage()
  const written = page
    .split(/^## (?=report_)/m)
    .slice(1)
    .map((section) => [
      section.slice(0, section.indexOf('\n')),
      [...section.matchAll(/^\| `(\w+)` +\|.+\|.+\|$/gm)].map(([, name]) => name),
    ])
  assert.deepEqual(Object.fromEntries(written), views)
  for (const view of Object.keys(views))
    assert.match(page, new RegExp(`GRANT SELECT ON [^;]*${view}\\b`))
})

test('a role that may read the views may read nothing else', async (t) => {
  const pool = await openReports(t, [exchangeAt('2026-03-01T10:00:00Z')])
  const role = `bi_${randomUUIDv7().slice(-12)}`
  const { rows } = await pool.query<{ schema: string }>('SELECT current_schema AS schema')
  const client = await pool.connect()
  try {
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA ${rows[0]!.schema} TO ${role}`)
    const views =
      'report_exchanges, report_errors, report_turns, report_hours, report_days, report_latencies'
    await client.query(`GRANT SELECT ON ${views} TO ${role}; SET ROLE ${role}`)
    for (const view of views.split(', ')) await client.query(`SELECT * FROM ${view}`)
    for (const table of [
      'report_texts',
      'exchanges',
      'exchange_bodies',
      'api_keys',
      'exchange_hours',
    ]) {
      await assert.rejects(client.query(`SELECT * FROM ${table}`), /permission denied/)
    }
  } finally {
    await client.query(`RESET ROLE; DROP OWNED BY ${role}; DROP ROLE ${role}`)
    client.release()
  }
})

test('the lowest id of a moment is the one that the gateway means', async (t) => {
  const pool = await openReports(t)
  for (const at of [
    '1970-01-01T00:00:00Z',
    '2026-03-01T10:00:00.123Z',
    '2199-12-31T23:59:59.999Z',
  ]) {
    const { rows } = await pool.query('SELECT exchange_id_at($1::timestamptz) AS id', [at])
    assert.deepEqual(rows, [{ id: lowestIdAt(Date.parse(at)) }])
  }
})

test('a range of ids reads its days and no others, in every view of exchanges', async (t) => {
  const days = ['01', '02', '03', '04'].map((day) => exchangeAt(`2026-03-${day}T10:00:00Z`))
  const pool = await openReports(t, days)
  const range = `id >= exchange_id_at('2026-03-02Z') AND id < exchange_id_at('2026-03-04Z')`
  for (const view of ['report_exchanges', 'report_texts', 'report_errors', 'report_turns']) {
    const plan = await explain(pool, `SELECT * FROM ${view} WHERE ${range}`)
    assert.deepEqual(daysIn(plan), ['_20260302', '_20260303'], plan)
  }
  // What is known only when the query runs.
  const since = `now() - (now() - '2026-03-04Z'::timestamptz)`
  const plan = await explain(
    pool,
    `SELECT * FROM report_exchanges WHERE id >= exchange_id_at(${since})`,
    ', ANALYZE, TIMING off, SUMMARY off',
  )
  assert.match(plan, /Subplans Removed: \d/)
  assert.deepEqual(daysIn(plan), ['_20260304'], plan)
})

test('a range of started_at alone reads a few pages of other days, and none of their rows', async (t) => {
  const days = ['01', '02', '03'].map((day) => `2026-03-${day}`)
  const pool = await openReports(
    t,
    days.map((day) => exchangeAt(`${day}T10:00:00Z`)),
  )
  for (const day of days) {
    await pool.query(
      `INSERT INTO exchanges (id, started_at, method, route, attempt_count, streamed, is_usage_estimated, total_ms,
         outcome, status, is_stored, session)
       SELECT
         (left(exchange_id_at(at)::text, 14) || right(gen_random_uuid()::text, 22))::uuid, at, 'POST', '/', 1, true,
         false, 1, 'completed', 200, false, repeat('x', 1000)
       FROM generate_series($1::timestamptz, $1::timestamptz + interval '23 hours', interval '20 seconds') AS at`,
      [`${day}T00:00:00Z`],
    )
    // The keeper of the day after.
    const now = () => Date.parse(`${day}T12:00:00Z`) + 24 * 60 * 60_000
    const { logger } = recordLog()
    await new Keeper({ pool, retentionDays: null, bodiesRetentionDays: null, logger, now }).keep()
  }
  await pool.query('ANALYZE exchanges')
  const plan = await explain(
    pool,
    `SELECT * FROM report_exchanges WHERE started_at >= '2026-03-02Z' AND started_at < '2026-03-03Z' AND model IS NULL`,
    ', ANALYZE, BUFFERS off, TIMING off, SUMMARY off',
  )
  const scans = plan.split(/(?=Bitmap Heap Scan on|Seq Scan on)/).slice(1)
  const of = (day: string) => scans.find((scan) => scan.includes(`on exchanges_${day}`)) ?? ''
  assert.match(of('20260302'), /rows=4141\b/, plan)
  for (const day of ['20260301', '20260303']) {
    assert.match(of(day), /^Bitmap Heap Scan/, plan)
    assert.doesNotMatch(of(day), /Heap Blocks|Rows Removed/, plan)
  }
})

test('the views say what the exchanges were', async (t) => {
  const callerId = randomUUIDv7()
  const first = exchangeAt('2026-03-01T10:00:00Z', { callerId, costUsd: 0.5, totalMs: 100 })
  const second = exchangeAt('2026-03-01T11:00:00Z', {
    callerId,
    outcome: 'failed',
    status: 502,
    errorCode: 'upstream_error',
    totalMs: 9_000,
    conversationId: first.id,
    previousId: first.id,
  })
  const pool = await openReports(t, [first, second])
  const { rows: days } = await pool.query(
    `SELECT day::text, caller_id, model, requests::int, completed::int, failed::int, cost_usd::float8 FROM report_days`,
  )
  const usage = { requests: 2, completed: 1, failed: 1, cost_usd: 0.5 }
  assert.deepEqual(days, [{ day: '2026-03-01', caller_id: callerId, model: 'guide', ...usage }])
  const { rows: latencies } = await pool.query<{ completed: string; p99: number }>(
    'SELECT completed, total_ms_p99 AS p99 FROM report_latencies',
  )
  assert.equal(latencies[0]!.completed, '1')
  assert.ok(latencies[0]!.p99 > 90 && latencies[0]!.p99 < 128.1, String(latencies[0]!.p99))
  const { rows: hours } = await pool.query<{ p50: number | null }>(
    'SELECT total_ms_p50 AS p50 FROM report_hours ORDER BY hour',
  )
  assert.deepEqual(
    hours.map(({ p50 }) => p50 === null),
    [false, true],
  )
  const { rows: errors } = await pool.query('SELECT id, error_code FROM report_errors')
  assert.deepEqual(errors, [{ id: second.id, error_code: 'upstream_error' }])
  const { rows: turns } = await pool.query('SELECT id, previous_id FROM report_turns ORDER BY id')
  assert.deepEqual(turns, [
    { id: first.id, previous_id: null },
    { id: second.id, previous_id: first.id },
  ])
  const { rows: texts } = await pool.query(
    'SELECT answer FROM report_texts JOIN report_exchanges USING (id)',
  )
  assert.deepEqual(texts, [{ answer: ['Hello'] }, { answer: ['Hello'] }])
})
