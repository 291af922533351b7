// Table `exchange_words`: words of exchanges, taken from their texts.
//
// Only what is new in an exchange is in it: not the conversation so far, which is in the exchanges before, and no system
// prompt. PostgreSQL takes the texts apart itself, so that they are not carried here and back.
//
// Knows: SQL. Does not know: when words are taken.

import { daysOf } from './exchange-rows.ts'
import type { Queryable } from './pool.ts'

/** Of each of the two texts: a vector holds a megabyte at most. */
const MAX_CHARACTERS = 100_000

/** Those that are indexed already are left as they are. @param language a text search configuration */
export async function indexWords(
  db: Queryable,
  ids: readonly string[],
  language: string,
): Promise<void> {
  if (ids.length === 0) return
  await db.query(
    `INSERT INTO exchange_words (id, words)
     SELECT id, setweight(to_tsvector($2::regconfig, left(coalesce(new_in_prompt(prompt), ''), ${MAX_CHARACTERS})), 'B')
       || setweight(to_tsvector($2::regconfig, left(coalesce(array_to_string(answer, E'\\n'), ''), ${MAX_CHARACTERS})), 'A')
     FROM exchange_bodies
     WHERE id = ANY($1::uuid[]) AND ${daysOf(ids)}
       AND NOT EXISTS (SELECT FROM exchange_words AS known WHERE known.id = exchange_bodies.id AND ${daysOf(ids, 'known.id')})
     ON CONFLICT (id) DO NOTHING`,
    [ids, language],
  )
}

/** Its text can't be taken apart. */
export async function markWordless(db: Queryable, id: string): Promise<void> {
  await db.query(
    'INSERT INTO exchange_words (id, words) VALUES ($1, NULL) ON CONFLICT (id) DO NOTHING',
    [id],
  )
}

/** Instead of a configuration: nobody searches for words here, and nobody pays for it. */
export const NO_WORDS = 'none'

/** @throws Error where PostgreSQL doesn't know that text search configuration */
export async function requireLanguage(db: Queryable, language: string): Promise<void> {
  if (language === NO_WORDS) return
  const { rows } = await db.query<{ name: string }>(
    'SELECT cfgname AS name FROM pg_ts_config ORDER BY cfgname',
  )
  const names = rows.map(({ name }) => name)
  if (names.includes(language)) return
  throw new Error(
    `HEADRACE_SEARCH_LANGUAGE is ${language}, which this PostgreSQL doesn't know. It knows ${names.join(', ')}.`,
  )
}

/**
 * Makes summaries of what was written since the last time, so that a search need not read it. Gives way to whoever
 * vacuums, which does the same.
 */
export async function summarizeRanges(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ index: string }>(
    `SELECT index.oid::regclass::text AS index
     FROM pg_inherits JOIN pg_class AS index ON index.oid = inhrelid JOIN pg_am ON pg_am.oid = index.relam
     WHERE amname = 'brin' AND inhparent IN ('exchanges_words_in_ranges'::regclass, 'exchanges_figures_in_ranges'::regclass)
     ORDER BY index.oid DESC LIMIT 4`,
  )
  for (const { index } of rows)
    await db.query('SELECT brin_summarize_new_values($1::regclass)', [index])
}
