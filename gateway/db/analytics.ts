// What was used, how fast and at what cost: sums of hours by whatever is asked for.
//
// Of the roll-ups the smallest is read that knows everything that is grouped or filtered by.
//
// Knows: SQL. Does not know: HTTP, who may ask.

import type { Pool } from './pool.ts'
import { readOnly } from './read-only.ts'

export const DIMENSIONS = ['project', 'caller', 'model', 'version', 'upstream', 'tag'] as const
export type Dimension = (typeof DIMENSIONS)[number]
export const PERIODS = ['hour', 'day', 'month'] as const
export type Period = (typeof PERIODS)[number]

/** What rows are sorted by, largest first, within a period. */
export const SORTS = { requests: 'requests', tokens: 'tokens', cost: 'usd', failed: 'failed' }

export interface UsageQuestion {
  /** whole hours */
  from: Date
  to: Date
  /** null: one for the whole time */
  period: Period | null
  group: readonly Dimension[]
  /** exact values, '' for what isn't known; a caller by id or by the name of its key */
  filter: Partial<Record<Dimension, string>>
  sort: keyof typeof SORTS
  /** rows at most */
  limit: number
}

/** Milliseconds that 50, 90, 95 and 99 of a hundred took at most; null where none completed. */
export type Percentiles = [p50: number, p90: number, p95: number, p99: number] | null

export interface UsageRow {
  start: Date | null
  project: string | null
  projectName: string | null
  caller: string | null
  callerName: string | null
  model: string | null
  version: string | null
  upstream: string | null
  tag: string | null
  requests: number
  cancelled: number
  failed: number
  refused: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  costUsd: number
  totalMs: Percentiles
  timeToFirstTokenMs: Percentiles
}

const BUCKETS = 48
const SHARES = "'{0.5,0.9,0.95,0.99}'"

const COLUMNS: Record<Dimension, string> = {
  project: 'project_id',
  caller: 'caller_id',
  model: 'model',
  version: 'version',
  upstream: 'upstream',
  tag: 'tag',
}

/** The smallest first. */
const TABLES: { name: string; knows: readonly Dimension[] }[] = [
  { name: 'exchange_model_hours', knows: ['project', 'model', 'version', 'upstream'] },
  { name: 'exchange_caller_hours', knows: ['project', 'caller'] },
  { name: 'exchange_tag_hours', knows: ['project', 'tag'] },
  { name: 'exchange_hours', knows: ['project', 'caller', 'model', 'version', 'upstream'] },
]

/** @returns null: nothing is summed up by all of these at once */
export function tableFor(dimensions: readonly Dimension[]): string | null {
  const table = TABLES.find(({ knows }) => dimensions.every((name) => knows.includes(name)))
  return table?.name ?? null
}

/** @returns the rows, up to one more than `limit`; @throws Error where tableFor() knows no table */
export async function listUsage(pool: Pool, question: UsageQuestion): Promise<UsageRow[]> {
  const { from, to, period, group, filter, sort, limit } = question
  const filters = DIMENSIONS.filter((name) => filter[name] !== undefined)
  const table = tableFor([...group, ...filters])
  if (table === null) throw new Error(`No table knows ${group.join(', ')}. This is a bug.`)
  const values: unknown[] = [from, to, limit + 1]
  const place = (value: unknown) => `$${values.push(value)}`
  const wanted = filters.map((name) => {
    const value = place(filter[name])
    const isIt = `${COLUMNS[name]} = ${value}`
    return name === 'caller'
      ? `(${isIt} OR caller_id IN (SELECT id::text FROM api_keys WHERE name = ${value}))`
      : isIt
  })
  const start = period === null ? 'NULL::timestamptz' : `date_trunc('${period}', hour, 'UTC')`
  const keys = group.map((name) => COLUMNS[name])
  const isKey = (name: Dimension) => group.includes(name)
  const sql = `
    WITH sums AS (
      SELECT ${[`${start} AS start`, ...keys].join(', ')}, ${SUMS}
      FROM ${table}
      WHERE ${['hour >= $1', 'hour < $2', ...wanted].join(' AND ')}
      GROUP BY ${[...(period === null ? [] : ['start']), ...keys].join(', ') || '()'}
      HAVING sum(requests) > 0
      ORDER BY start, ${SORTS[sort]} DESC${keys.map((key) => `, ${key}`).join('')}
      LIMIT $3
    )
    SELECT start,
      ${DIMENSIONS.map((name) => `${isKey(name) ? `nullif(${COLUMNS[name]}, '')` : 'NULL'} AS "${name}"`).join(', ')},
      ${isKey('caller') ? CALLER_NAME : 'NULL'} AS "callerName",
      ${isKey('project') ? '(SELECT name FROM projects WHERE id::text = project_id)' : 'NULL'} AS "projectName",
      requests, cancelled, failed, refused, prompt AS "promptTokens", cached AS "cachedTokens",
      completion AS "completionTokens", usd AS "costUsd",
      percentiles_of_counts(total, ${SHARES}) AS "totalMs",
      percentiles_of_counts(first, ${SHARES}) AS "timeToFirstTokenMs"
    FROM sums
    ORDER BY start, ${SORTS[sort]} DESC${keys.map((key) => `, ${key}`).join('')}`
  return readOnly(pool, async (db) => (await db.query<UsageRow>(sql, values)).rows)
}

/** Element by element: an aggregate of arrays takes ten times as long. */
function summed(counts: string): string {
  const buckets = Array.from({ length: BUCKETS }, (_, i) => `sum(${counts}[${i + 1}])`)
  return `array_replace(ARRAY[${buckets.join(', ')}]::bigint[], NULL, 0)`
}

const SUMS = `
  sum(requests)::float8 AS requests, sum(cancelled)::float8 AS cancelled, sum(failed)::float8 AS failed,
  sum(refused)::float8 AS refused, sum(prompt_tokens)::float8 AS prompt, sum(cached_tokens)::float8 AS cached,
  sum(completion_tokens)::float8 AS completion, sum(prompt_tokens + completion_tokens) AS tokens,
  sum(cost_usd)::float8 AS usd, ${summed('total_ms_counts')} AS total,
  ${summed('time_to_first_token_ms_counts')} AS first`

/** As the key is called now; of a token's holder what was seen last. */
const CALLER_NAME = `coalesce(
  (SELECT name FROM api_keys WHERE id::text = caller_id),
  (SELECT seen.caller_name FROM exchange_caller_hours seen
   WHERE seen.caller_id = sums.caller_id AND seen.caller_name IS NOT NULL ORDER BY seen.hour DESC LIMIT 1)
)`
