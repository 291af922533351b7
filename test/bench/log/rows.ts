// A day of the exchange log, made up: rows with values that are everywhere, common, rare, and there but a few times.
//
// Rows are made in PostgreSQL itself, which is faster than bringing them there. What they are like is said in one place,
// so that the filters that are measured can name them.

import { ensurePartitions, lowestIdAt } from '../../../gateway/db/partitions.ts'
import type { Pool, Queryable } from '../../../gateway/db/pool.ts'

const DAY_MS = 24 * 60 * 60_000
/** at once; a statement's rows are one transaction */
const CHUNK_ROWS = 50_000

const CALLERS = 200
export const EVERYDAY_CALLER = '00000000-0000-7000-8000-000000000000'
/** three rows of a million */
export const RARE_CALLER = '00000000-0000-7000-8000-00000000ffff'

export interface Day {
  /** since 1970, UTC */
  day: number
  rows: number
}

/** ids of the rows from one to the next, spread over their day */
const ID = `(lpad(to_hex($1::bigint + n * ${DAY_MS}::bigint / $2::bigint), 12, '0') || '7'
  || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid`

export async function loadExchanges(pool: Pool, { day, rows }: Day): Promise<void> {
  await ensurePartitions(pool, [day])
  const client = await pool.connect()
  try {
    for (let from = 0; from < rows; from += CHUNK_ROWS) {
      await runLong(client, INSERT, [
        day * DAY_MS,
        rows,
        from,
        Math.min(rows, from + CHUNK_ROWS) - 1,
      ])
    }
  } finally {
    client.release()
  }
}

/** For statistics, and so that what was written once needs no second look. */
export async function settle(pool: Pool, tables: readonly string[]): Promise<void> {
  const client = await pool.connect()
  try {
    for (const table of tables) {
      await runLong(client, `VACUUM (ANALYZE) ${table}`)
    }
  } finally {
    client.release()
  }
}

function idRange({ day }: Day): [string, string] {
  return [lowestIdAt(day * DAY_MS), lowestIdAt((day + 1) * DAY_MS)]
}

const INSERT = `
  INSERT INTO exchanges (
    id, started_at, caller_id, caller_name, project_id, end_user, session, conversation_id, previous_id, tags, metadata,
    method, route, requested_model, model, version, upstream, attempt_count, streamed, finish_reasons, prompt_tokens,
    cached_tokens, completion_tokens, is_usage_estimated, cost_usd, cache, queue_ms, prefill_ms, decode_ms,
    time_to_first_token_ms, inter_token_ms, overhead_ms, total_ms, outcome, status, error_code, error_message, is_stored,
    digest, previous_digest
  )
  SELECT
    ${ID}, to_timestamp(($1::bigint + n * ${DAY_MS}::bigint / $2::bigint) / 1000.0), caller, caller_name,
    ('00000000-0000-7000-9000-' || lpad((who % 20)::text, 12, '0'))::uuid,
    CASE WHEN dice < 0.3 THEN 'user-' || (n * 7919) % 20000 END,
    CASE WHEN dice < 0.2 THEN 'session-' || n / 50 END,
    md5((n / 5)::text)::uuid, NULL,
    CASE WHEN dice < 0.2 THEN ARRAY['team-' || who % 9, CASE WHEN n % 5000 = 0 THEN 'odd' ELSE 'even' END] END,
    CASE WHEN dice < 0.2 THEN jsonb_build_object('team', 'team-' || who % 9, 'ticket', (n / 10)::text) END,
    'POST', CASE WHEN dice < 0.9 THEN '/v1/chat/completions' WHEN n % 10000 = 1 THEN '/v1/embeddings' ELSE '/v1/messages' END,
    model, model, model || '@' || CASE WHEN n % 20000 = 7 THEN 9 ELSE 1 + 6 * n / $2::bigint END,
    CASE WHEN model = 'guide' THEN 'local' WHEN n % 30000 = 3 THEN 'spare' ELSE 'openai' END,
    CASE WHEN dice > 0.998 THEN 2 ELSE 1 END, dice < 0.7,
    ARRAY[CASE WHEN dice > 0.95 THEN 'length' WHEN n % 15000 = 1 THEN 'content_filter' ELSE 'stop' END],
    400 + (300 * tail)::int, CASE WHEN dice < 0.4 THEN 256 ELSE 0 END, 300 + (200 * tail)::int, dice > 0.9995,
    round((0.0001 * (1 + tail))::numeric, 9), CASE WHEN dice < 0.02 THEN 'hit' WHEN dice < 0.1 THEN 'miss' END,
    0.2 + dice, 20 * (1 + tail), 900 * (1 + tail), 25 * (1 + tail), 3 + tail, 0.4 + 0.1 * tail, 950 * (1 + tail),
    CASE WHEN dice > 0.9995 THEN 'refused' WHEN dice > 0.995 THEN 'failed' WHEN dice > 0.985 THEN 'cancelled' ELSE 'completed' END,
    CASE WHEN dice > 0.9995 THEN 429 WHEN dice > 0.995 THEN 502 ELSE 200 END,
    CASE WHEN dice > 0.9995 THEN 'rate_limit_exceeded' WHEN n % 40000 = 5 THEN 'engine_lost'
      WHEN dice > 0.995 THEN 'upstream_error' END,
    CASE WHEN dice > 0.995 THEN 'What went wrong is told here, in a sentence.' END, n % 25000 = 2,
    substr(sha256(n::text::bytea), 1, 16), NULL
  FROM (
    SELECT n, who, dice, tail,
      CASE WHEN n % 333333 = 111 THEN '${RARE_CALLER}' ELSE '00000000-0000-7000-8000-' || lpad(to_hex(who), 12, '0') END::uuid AS caller,
      'caller-' || who AS caller_name,
      CASE WHEN n % 12345 = 6 THEN 'rare' WHEN n % 10 < 6 THEN 'guide' ELSE 'gpt-4o-mini' END AS model
    FROM (
      SELECT n,
        -- the first ones have most
        floor(${CALLERS} * ((hashint8(n)::float8 / 4294967296 + 0.5) ^ 4))::int AS who,
        hashint8(n * 31)::float8 / 4294967296 + 0.5 AS dice,
        -- exponential: a few take very long
        -ln(1 - (hashint8(n * 17)::float8 / 4294967296 + 0.49999999)) AS tail
      FROM generate_series($3::bigint, $4::bigint) AS n
    ) AS drawn
  ) AS known`

/** Different texts; each is said again in so many rows. What they say is drawn as words are in a language: few often. */
const TEXTS = 2_000
const VOCABULARY = 30_000
const WORDS_OF_2_KB = 340
/** one row of `RARE_WORD_EVERY` says it */
export const RARE_WORD = 'quokka'
const RARE_WORD_EVERY = 50_000

/** The words of as many exchanges, 2 KB asked and 2 KB answered each, and the texts of some of them. */
export async function loadWords(pool: Pool, { day, rows }: Day): Promise<void> {
  await ensurePartitions(pool, [day])
  const client = await pool.connect()
  const run = (text: string, values: unknown[] = []) => runLong(client, text, values)
  try {
    await run(`SET maintenance_work_mem = '1GB'`)
    await run(
      `CREATE TEMP TABLE texts AS
       SELECT n, (SELECT string_agg(word, ' ') FROM (
           -- Zipf: the nth word is said one nth as often as the first
           SELECT 'word' || floor(exp(random() * ln(${VOCABULARY})))::int AS word
           FROM generate_series(1, ${2 * WORDS_OF_2_KB}) AS place WHERE n > 0
         ) AS drawn) AS text
       FROM generate_series(1, ${TEXTS}) AS n`,
    )
    await run(
      `CREATE TEMP TABLE vectors AS
       SELECT n AS place, setweight(to_tsvector('simple', text), 'B') AS words,
         setweight(to_tsvector('simple', text || ' ${RARE_WORD}'), 'B') AS rare FROM texts`,
    )
    // The index is made when the rows are there: one by one they would take an hour.
    const partition = (await partitionOf(client, 'exchange_words', day)) ?? ''
    const { rows: indexes } = await client.query<{ name: string }>(
      `SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
       JOIN pg_am ON pg_am.oid = relam WHERE indrelid = $1::regclass AND amname = 'gin'`,
      [partition],
    )
    await run(`ALTER TABLE exchange_words DETACH PARTITION ${partition}`)
    for (const { name } of indexes) await run(`DROP INDEX ${name}`)
    for (let from = 0; from < rows; from += CHUNK_ROWS) {
      await run(
        `INSERT INTO ${partition} (id, words)
         SELECT ${ID}, CASE WHEN n % ${RARE_WORD_EVERY} = 1 THEN rare ELSE words END
         FROM generate_series($3::bigint, $4::bigint) AS n JOIN vectors ON place = 1 + n % ${TEXTS}`,
        [day * DAY_MS, rows, from, Math.min(rows, from + CHUNK_ROWS) - 1],
      )
    }
    await run(`CREATE INDEX ON ${partition} USING gin (words)`)
    const [low, high] = idRange({ day, rows })
    await run(
      `ALTER TABLE exchange_words ATTACH PARTITION ${partition} FOR VALUES FROM ('${low}') TO ('${high}')`,
    )
  } finally {
    client.release(true)
  }
}

/** The pool's limit is for what somebody waits for. */
async function runLong(client: Queryable, text: string, values: unknown[] = []): Promise<void> {
  const query: object = { text, values, query_timeout: 3_600_000 }
  await client.query(query as never)
}

async function partitionOf(client: Queryable, table: string, day: number): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits
     WHERE inhparent = $1::regclass AND inhrelid::regclass::text LIKE $2`,
    [table, `%${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`],
  )
  return rows[0]?.name ?? null
}
