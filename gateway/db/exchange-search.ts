// Searches what was said, best first, with the places where it was.
//
// A word that is everywhere has millions of matches, and ranking them all takes a minute. So the newest ones are ranked,
// as many as that takes a moment; the answer says how many, and whether there were more. They are found by words alone,
// which the index tells by itself, and looked at for phrases then.
//
// Knows: SQL. Does not know: who may read it.

import { findIndexedUntil } from './exchange-arrivals.ts'
import { conditionsOf, Parameters } from './exchange-fields.ts'
import { daysOf } from './exchange-rows.ts'
import { lowestIdAt } from './partitions.ts'
import type { ExchangeFilter } from './exchange-fields.ts'
import type { Queryable } from './pool.ts'

export interface WordSearch {
  filter: ExchangeFilter
  /** as websearch_to_tsquery() reads it: words, "a phrase", or, -not */
  text: string
  /** of PostgreSQL's text search configurations */
  language: string
  limit: number
  offset: number
}

export interface Hit {
  id: string
  rank: number
  /** pieces of the texts, with what was searched for between « and »; null where it isn't there */
  prompt: string | null
  answer: string | null
}

export interface SearchResult {
  hits: Hit[]
  hasMore: boolean
  /** matches that were ranked */
  ranked: number
  /** there are older matches, which were not ranked */
  isPartial: boolean
  /** written before that, and indexed; null: everything is */
  indexedUntil: Date | null
}

/** Unpacking and ranking a vector of 4 KB of text takes 20 to 50 µs. */
const MAX_CANDIDATES = 1_000
/** by clocks that are ahead */
const HOUR_MS = 60 * 60_000
/** Matches whose rows are looked at where a filter is given as well: some tenth of a second for each stretch. */
const MAX_FILTERED = 20_000
const DAYS_GROWTH = 4
/** Exchanges whose vectors are looked at one by one; what every tenth of them has needs no index to be found. */
const NEAR = 1_500
const ENOUGH_NEAR = 150
/** Texts are unpacked for the page alone, and from their beginnings. */
const MAX_HEADLINE_CHARACTERS = 20_000
const HEADLINE =
  'StartSel=«, StopSel=», MaxFragments=2, MaxWords=20, MinWords=8, FragmentDelimiter=" … "'

export async function searchWords(db: Queryable, search: WordSearch): Promise<SearchResult> {
  const { filter, text, language, limit, offset } = search
  const indexedUntil = await findIndexedUntil(db)
  const query = await readQuery(db, language, text)
  if (query === null) return { hits: [], hasMore: false, ranked: 0, isPartial: false, indexedUntil }
  const near = await findNear(db, filter, query.exact)
  const isCommon = near.length >= ENOUGH_NEAR
  const candidates = isCommon ? near : await findCandidates(db, filter, query.loose)
  const ids = candidates.slice(0, MAX_CANDIDATES)
  const ranked = await rank(db, ids, query.exact)
  const page = ranked.slice(offset, offset + limit)
  return {
    hits: await highlight(db, page, language, query.exact),
    hasMore: ranked.length > offset + limit,
    ranked: ranked.length,
    isPartial: isCommon || candidates.length > MAX_CANDIDATES,
    indexedUntil,
  }
}

/** @returns null where nothing is left to search for: stop words, signs */
async function readQuery(db: Queryable, language: string, text: string) {
  const { rows } = await db.query<{ exact: string; loose: string; nodes: number }>(
    `SELECT query::text AS exact, regexp_replace(query::text, '<(-|\\d+)>', '&', 'g') AS loose, numnode(query) AS nodes
     FROM websearch_to_tsquery($1::regconfig, $2) AS query`,
    [language, text],
  )
  const [query] = rows
  return query && query.nodes > 0 ? query : null
}

/** Among the newest exchanges of all. A word that is everywhere is here; its ids alone would take a fifth of a second. */
async function findNear(db: Queryable, filter: ExchangeFilter, query: string): Promise<string[]> {
  const parameters = new Parameters()
  const low = parameters.add(lowestIdAt(filter.from?.getTime() ?? 0))
  const high = parameters.add(lowestIdAt(filter.to?.getTime() ?? Date.now() + HOUR_MS))
  const conditions = conditionsOf(filter, parameters)
  const { rows } = await db.query<{ id: string }>(
    `WITH newest AS MATERIALIZED (
       SELECT id, words FROM exchange_words WHERE id >= ${low}::uuid AND id < ${high}::uuid
       ORDER BY id DESC LIMIT ${NEAR}
     )
     SELECT id FROM newest WHERE ${metBy(conditions)} AND words @@ ${parameters.add(query)}::tsquery
     ORDER BY id DESC`,
    parameters.values,
  )
  return rows.map(({ id }) => id)
}

/** Of `newest`. */
function metBy(conditions: readonly string[]): string {
  if (conditions.length === 0) return 'true'
  return `EXISTS (SELECT FROM exchanges WHERE exchanges.id = newest.id AND ${conditions.join(' AND ')})`
}

/**
 * The newest ones, and one more where there are more; by each day's index of words alone. The planner would rather unpack
 * the vectors of a whole day than read a word's ids from the index, where the word is common: it doesn't know what
 * unpacking costs. So it is left nothing but the index, and days are asked as tables, without their key.
 */
async function findCandidates(
  db: Queryable,
  filter: ExchangeFilter,
  query: string,
): Promise<string[]> {
  await db.query('SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off')
  const ids: string[] = []
  const days = await daysOfWords(db, filter)
  for (let from = 0, count = 1; from < days.length; from += count, count *= DAYS_GROWTH) {
    const parameters = new Parameters()
    const words = parameters.add(query)
    const bounds = boundsOf(filter, parameters)
    const matching = days
      .slice(from, from + count)
      .map((day) => `SELECT id FROM ${day} WHERE words @@ ${words}::tsquery ${bounds}`)
    const conditions = conditionsOf(filter, parameters)
    const { rows } = await db.query<{ id: string }>(
      `WITH matching AS MATERIALIZED (${matching.join(' UNION ALL ')}),
       newest AS MATERIALIZED (
         SELECT id FROM matching ORDER BY id DESC
         LIMIT ${conditions.length === 0 ? MAX_CANDIDATES + 1 : MAX_FILTERED}
       )
       SELECT id FROM newest WHERE ${metBy(conditions)} ORDER BY id DESC LIMIT ${MAX_CANDIDATES + 1 - ids.length}`,
      parameters.values,
    )
    ids.push(...rows.map(({ id }) => id))
    if (ids.length > MAX_CANDIDATES) break
  }
  await db.query('SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on')
  return ids
}

/** @returns names of tables, the newest first */
async function daysOfWords(db: Queryable, { from, to }: ExchangeFilter): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name
     FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = 'exchange_words'::regclass
       AND right(relname, 8) BETWEEN $1 AND $2
     ORDER BY right(relname, 8) DESC`,
    [from ? dayName(from) : '00000000', to ? dayName(to) : '99999999'],
  )
  return rows.map(({ name }) => name)
}

const dayName = (time: Date) => time.toISOString().slice(0, 10).replaceAll('-', '')

/** Told so that no index can be used for it. */
function boundsOf({ from, to }: ExchangeFilter, parameters: Parameters): string {
  const low = from && `AND (id >= ${parameters.add(lowestIdAt(from.getTime()))}::uuid) IS TRUE`
  const high = to && `AND (id < ${parameters.add(lowestIdAt(to.getTime()))}::uuid) IS TRUE`
  return `${low ?? ''} ${high ?? ''}`
}

async function rank(db: Queryable, ids: string[], query: string) {
  if (ids.length === 0) return []
  const { rows } = await db.query<{ id: string; rank: number }>(
    `SELECT id, ts_rank(words, $2::tsquery) AS rank FROM exchange_words
     WHERE id = ANY($1::uuid[]) AND ${daysOf(ids)} AND words @@ $2::tsquery
     ORDER BY rank DESC, id DESC`,
    [ids, query],
  )
  return rows
}

async function highlight(
  db: Queryable,
  page: { id: string; rank: number }[],
  language: string,
  query: string,
): Promise<Hit[]> {
  if (page.length === 0) return []
  const ids = page.map(({ id }) => id)
  const headline = (text: string) =>
    `ts_headline($2::regconfig, left(${text}, ${MAX_HEADLINE_CHARACTERS}), $3::tsquery, '${HEADLINE}')`
  const { rows } = await db.query<{ id: string; prompt: string | null; answer: string | null }>(
    `SELECT id, ${headline('new_in_prompt(prompt)')} AS prompt,
            ${headline(`array_to_string(answer, E'\\n')`)} AS answer
     FROM exchange_bodies WHERE id = ANY($1::uuid[]) AND ${daysOf(ids)}`,
    [ids, language, query],
  )
  const texts = new Map(rows.map((row) => [row.id, row]))
  const marked = (text: string | null | undefined) => (text?.includes('«') ? text : null)
  return page.map(({ id, rank }) => {
    const found = texts.get(id)
    return { id, rank, prompt: marked(found?.prompt), answer: marked(found?.answer) }
  })
}
