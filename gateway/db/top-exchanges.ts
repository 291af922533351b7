// The slowest exchanges, the dearest, the most frequent errors and prompts of a stretch of time.
//
// Nothing is summed up for these: rows are looked at, up to a bound. What is told says from when on, and whether those
// were all.
//
// Knows: SQL. Does not know: HTTP, who may ask.

import { lowestIdAt, timeOfId } from './partitions.ts'
import { readOnly } from './read-only.ts'
import type { Pool, Queryable } from './pool.ts'

export interface TopQuestion {
  from: Date
  to: Date
  /** exact values; the project by id, a caller by id or by the name of its key */
  filter: Partial<Record<'project' | 'caller' | 'model' | 'version' | 'upstream', string>>
  limit: number
}

export interface Top<Row> {
  rows: Row[]
  /** later than what was asked for where there was too much: the newest were looked at */
  from: Date
  /** not all that was asked for was looked at */
  isPart: boolean
}

export const RANKS = {
  slowest: 'total_ms',
  slowest_first_token: 'time_to_first_token_ms',
  most_expensive: 'cost_usd',
} as const
export type Rank = keyof typeof RANKS

export interface RankedExchange {
  id: string
  startedAt: Date
  callerId: string | null
  callerName: string | null
  projectId: string | null
  model: string | null
  version: string | null
  upstream: string | null
  outcome: string
  promptTokens: number | null
  completionTokens: number | null
  costUsd: number | null
  timeToFirstTokenMs: number | null
  totalMs: number
}

export interface FrequentError {
  outcome: string
  errorCode: string | null
  status: number
  model: string | null
  upstream: string | null
  count: number
  callers: number
  lastAt: Date
  lastId: string
  lastMessage: string | null
}

export interface FrequentPrompt {
  prompt: string
  count: number
  callers: number
  /** id of the newest of them */
  last: string
  costUsd: number
  /** average */
  totalMs: number
}

/** Figures are narrow: so many are read in a second. */
const MOST_ROWS = 1_000_000
const MOST_ERRORS = 200_000
/** Texts are not: each is found by itself and unpacked. */
const MOST_TEXTS = 5_000
/** More of a prompt is neither told nor compared. */
const PROMPT_CHARACTERS = 500

export async function listRanked(
  pool: Pool,
  rank: Rank,
  question: TopQuestion,
): Promise<Top<RankedExchange>> {
  const column = RANKS[rank]
  return readOnly(pool, async (db) => {
    const bound = await boundOf(db, question, MOST_ROWS, 'true')
    const { rows } = await db.query<RankedExchange>(
      `SELECT id, started_at AS "startedAt", caller_id AS "callerId", caller_name AS "callerName",
         project_id AS "projectId", model, version, upstream, outcome, prompt_tokens AS "promptTokens",
         completion_tokens AS "completionTokens", cost_usd::float8 AS "costUsd",
         time_to_first_token_ms AS "timeToFirstTokenMs", total_ms AS "totalMs"
       FROM exchanges
       WHERE ${bound.isWanted} AND ${column} IS NOT NULL
       ORDER BY ${column} DESC, id DESC LIMIT $8`,
      [...bound.values, question.limit],
    )
    return { rows, from: bound.from, isPart: bound.isPart }
  })
}

/** Those that failed, were refused or cancelled, by what was wrong. */
export async function listFrequentErrors(
  pool: Pool,
  question: TopQuestion,
): Promise<Top<FrequentError>> {
  return readOnly(pool, async (db) => {
    const bound = await boundOf(db, question, MOST_ERRORS, IS_ERROR)
    const { rows } = await db.query<FrequentError>(
      `SELECT frequent.outcome, frequent.error_code AS "errorCode", frequent.status, frequent.model, frequent.upstream,
         count, callers, started_at AS "lastAt", id AS "lastId", error_message AS "lastMessage"
       FROM (
         SELECT outcome, error_code, status, model, upstream, count(*)::float8 AS count,
           count(DISTINCT caller_id)::float8 AS callers, ${LAST_ID}
         FROM exchanges
         WHERE ${bound.isWanted} AND ${IS_ERROR}
         GROUP BY outcome, error_code, status, model, upstream
         ORDER BY count DESC, last DESC LIMIT $8
       ) AS frequent
       JOIN exchanges ON exchanges.id = frequent.last AND id >= $1 AND id < $2
       ORDER BY count DESC, last DESC`,
      [...bound.values, question.limit],
    )
    return { rows, from: bound.from, isPart: bound.isPart }
  })
}

/** By the text of a prompt's last message. Of many exchanges a part is looked at, evenly chosen. */
export async function listFrequentPrompts(
  pool: Pool,
  question: TopQuestion,
): Promise<Top<FrequentPrompt> & { examined: number }> {
  return readOnly(pool, async (db) => {
    const bound = await boundOf(db, question, MOST_ROWS, 'true')
    const { rows } = await db.query<FrequentPrompt & { examined: number; chosen: number }>(
      `WITH chosen AS MATERIALIZED (
         SELECT id, caller_id, cost_usd, total_ms FROM exchanges
         WHERE ${bound.isWanted}
         -- evenly, and the same ones when asked again
         ORDER BY uuid_hash(id) LIMIT ${MOST_TEXTS}
       ), asked AS MATERIALIZED (
         SELECT chosen.*, left(${LAST_TEXT}, ${PROMPT_CHARACTERS}) AS prompt
         FROM chosen JOIN exchange_bodies ON exchange_bodies.id = chosen.id AND exchange_bodies.id >= $1
           AND exchange_bodies.id < $2
       )
       SELECT prompt, count(*)::float8 AS count, count(DISTINCT caller_id)::float8 AS callers, ${LAST_ID},
         coalesce(sum(cost_usd), 0)::float8 AS "costUsd", avg(total_ms)::float8 AS "totalMs",
         (SELECT count(*)::float8 FROM asked) AS examined, (SELECT count(*)::float8 FROM chosen) AS chosen
       FROM asked WHERE prompt <> ''
       GROUP BY prompt ORDER BY count DESC, last DESC LIMIT $8`,
      [...bound.values, question.limit],
    )
    const { examined = 0, chosen = 0 } = rows[0] ?? {}
    return { rows, from: bound.from, isPart: bound.isPart || chosen === MOST_TEXTS, examined }
  })
}

const IS_ERROR = `outcome <> 'completed'`
// There is no max() of uuid before PostgreSQL 18.
const LAST_ID = 'max(id::text)::uuid AS last'
/** A list of messages, of texts or parts, or a text. */
const LAST_TEXT = `CASE json_typeof(prompt)
  WHEN 'string' THEN prompt #>> '{}'
  WHEN 'array' THEN coalesce(
    prompt #>> '{-1,content,-1,text}', prompt #>> '{-1,content}', prompt #>> '{-1}'
  )
END`

interface Bound {
  from: Date
  isPart: boolean
  isWanted: string
  /** $1 to $7 of isWanted */
  values: unknown[]
}

/** Narrows the time from its beginning until there is no more to look at than that. */
async function boundOf(
  db: Queryable,
  { from, to, filter }: TopQuestion,
  mostRows: number,
  isOne: string,
): Promise<Bound> {
  const ids = [lowestIdAt(from.getTime()), lowestIdAt(to.getTime())]
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM exchanges WHERE id >= $1 AND id < $2 AND ${isOne}
     ORDER BY id DESC OFFSET ${mostRows - 1} LIMIT 1`,
    ids,
  )
  const first = rows[0]?.id
  const { project, caller, model, version, upstream } = filter
  return {
    from: first === undefined ? from : new Date(timeOfId(first)),
    isPart: first !== undefined,
    isWanted: IS_WANTED,
    values: [first ?? ids[0], ids[1], project, caller, model, version, upstream],
  }
}

const IS_WANTED = `id >= $1 AND id < $2
  AND ($3::uuid IS NULL OR project_id = $3)
  AND ($4::text IS NULL OR caller_id::text = $4 OR caller_id IN (SELECT api_keys.id FROM api_keys WHERE name = $4))
  AND ($5::text IS NULL OR model = $5)
  AND ($6::text IS NULL OR version = $6)
  AND ($7::text IS NULL OR upstream = $7)`
