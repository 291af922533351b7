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
export const SORTS = {
  requests: 'sum(requests)',
  tokens: 'sum(prompt_tokens + completion_tokens)',
  cost: 'sum(cost_usd)',
  failed: 'sum(failed)',
}

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
    // As a list that is known before rows are read, so that an index leads to them.
    return name === 'caller'
      ? `caller_id = ANY (ARRAY(SELECT ${value} UNION ALL SELECT id::text FROM api_keys WHERE name = ${value}))`
      : `${COLUMNS[name]} = ${value}`
  })
  const start = period === null ? 'NULL::timestamptz' : `date_trunc('${period}', hour, 'UTC')`
  const keys = group.map((name) => COLUMNS[name])
  const isKey = (name: Dimension) => group.includes(name)
  const where = `WHERE ${['hour >= $1', 'hour < $2', ...wanted].join(' AND ')}`
  const ranked = ['start', `${SORTS[sort]} DESC`, ...keys].join(', ')
  // Who comes first is found by one figure; histograms are added up of those alone.
  const isTop = period === null && keys.length > 0
  const columns = keys.join(', ')
  const top = `top AS MATERIALIZED (
      SELECT NULL::text AS start, ${columns} FROM ${table} ${where}
      GROUP BY ${columns} ORDER BY ${ranked} LIMIT $3
    ), `
  const sql = `
    WITH ${isTop ? top : ''}sums AS (
      SELECT ${[`${start} AS start`, ...keys].join(', ')}, ${SORTS[sort]} AS ranked, ${SUMS}
      FROM ${table} ${isTop ? `JOIN (SELECT ${columns} FROM top) AS top USING (${columns})` : ''}
      ${where}
      GROUP BY ${[...(period === null ? [] : ['start']), ...keys].join(', ') || '()'}
      HAVING sum(requests) > 0
      ORDER BY ${ranked}
      LIMIT $3
    )
    SELECT start,
      ${DIMENSIONS.map((name) => `${isKey(name) ? `nullif(sums.${COLUMNS[name]}, '')` : 'NULL'} AS "${name}"`).join(', ')},
      ${isKey('caller') ? CALLER_NAME : 'NULL'} AS "callerName",
      ${isKey('project') ? 'projects.name' : 'NULL'} AS "projectName",
      requests, cancelled, failed, refused, prompt AS "promptTokens", cached AS "cachedTokens",
      completion AS "completionTokens", usd AS "costUsd",
      percentiles_of_counts(total, ${SHARES}) AS "totalMs",
      percentiles_of_counts(first, ${SHARES}) AS "timeToFirstTokenMs"
    FROM sums
    ${isKey('caller') ? 'LEFT JOIN api_keys ON api_keys.id::text = sums.caller_id' : ''}
    ${isKey('project') ? 'LEFT JOIN projects ON projects.id::text = sums.project_id' : ''}
    ORDER BY ${['start', 'ranked DESC', ...keys.map((key) => `sums.${key}`)].join(', ')}`
  return readOnly(pool, async (db) => (await db.query<UsageRow>(sql, values)).rows)
}

/**
 * Element by element: an aggregate of arrays takes six times as long. As floats, which are exact to 2^53 and whose sums
 * need no memory of their own: a hundred of them for each of a thousand callers would not fit.
 */
function summed(counts: string): string {
  const buckets = Array.from({ length: BUCKETS }, (_, i) => `sum(${counts}[${i + 1}]::float8)`)
  return `array_replace(ARRAY[${buckets.join(', ')}]::bigint[], NULL, 0)`
}

const SUMS = `
  sum(requests)::float8 AS requests, sum(cancelled)::float8 AS cancelled, sum(failed)::float8 AS failed,
  sum(refused)::float8 AS refused, sum(prompt_tokens)::float8 AS prompt, sum(cached_tokens)::float8 AS cached,
  sum(completion_tokens)::float8 AS completion,
  sum(cost_usd)::float8 AS usd, ${summed('total_ms_counts')} AS total,
  ${summed('time_to_first_token_ms_counts')} AS first`

/** As the key is called now; of a token's holder what was seen last. */
const CALLER_NAME = `coalesce(
  api_keys.name,
  (SELECT seen.caller_name FROM exchange_caller_hours seen
   WHERE seen.caller_id = sums.caller_id AND seen.caller_name IS NOT NULL ORDER BY seen.hour DESC LIMIT 1)
)`
