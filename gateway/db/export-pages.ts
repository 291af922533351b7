// Exchanges on their way out, page by page in the order of their ids, which is the order of time.
//
// Each page is a statement of its own that begins behind the last id: no cursor holds a transaction open for hours, any
// page can be the first one, and what is in memory is one page. A page lies within one day at most, so that no statement
// looks through more than one partition, however seldom its filter matches.
//
// Knows: SQL. Does not know: formats, where rows go.

import { BODY_COLUMNS, EXPORT_COLUMNS } from './export-columns.ts'
import { conditionsOf, Parameters as Values } from './exchange-fields.ts'
import { dayOf, lowestIdAt, timeOfId } from './partitions.ts'
import { joinSystemPrompt } from './system-prompts.ts'
import type { ExchangeFilter } from './exchange-fields.ts'
import type { ExportColumn, ExportRow } from './export-columns.ts'
import type { Queryable } from './pool.ts'

export interface PagesOptions {
  filter: ExchangeFilter
  /** the last id that is known already; null: from the beginning */
  after: string | null
  withBodies: boolean
  /** rows at most; null: all */
  limit: number | null
}

const DAY_MS = 24 * 60 * 60_000
/**
 * A statement looks at about as much time as a page needs: a partition that was never analysed is sorted for every page,
 * and a whole day of rows for each thousand of them never comes to an end.
 */
const FIRST_WINDOW_MS = 60_000
/** About 15 ms to read and to encode: what a reader who leaves may have cost in vain. */
const PAGE_ROWS = 1_000
/** texts of one page as they are stored, which is compressed */
const PAGE_BODY_BYTES = 2 * 1024 * 1024

/** @throws what PostgreSQL says */
export async function* readPages(
  db: Queryable,
  { filter, after, withBodies, limit }: PagesOptions,
): AsyncGenerator<ExportRow[], void> {
  const known = await knownRange(db)
  if (!known) return
  const startMs = Math.max(filter.from?.getTime() ?? 0, known.startMs, after ? timeOfId(after) : 0)
  const endMs = Math.min(filter.to?.getTime() ?? Infinity, known.endMs)
  let left = limit ?? Infinity
  let last = after
  let windowMs = FIRST_WINDOW_MS
  for (let fromMs = startMs; fromMs < endMs && left > 0;) {
    const toMs = Math.min(endMs, fromMs + windowMs, (dayOf(fromMs) + 1) * DAY_MS)
    const asked = Math.min(PAGE_ROWS, left)
    // No id is the lowest of its millisecond: that has no version. As texts they are in the order of ids.
    const lowest = lowestIdAt(fromMs)
    const behind = last !== null && last > lowest ? last : lowest
    const rows = await readPage(db, filter, { behind, below: lowestIdAt(toMs) }, asked)
    left -= rows.length
    last = rows.at(-1)?.id ?? last
    if (rows.length === asked && last !== null) {
      fromMs = timeOfId(last)
      windowMs = Math.ceil(windowMs / 2)
    } else {
      fromMs = toMs
      if (rows.length < asked / 2) windowMs = Math.min(DAY_MS, windowMs * 2)
    }
    if (rows.length === 0) continue
    if (withBodies) yield* withTexts(db, rows)
    else yield rows
  }
}

/** Time between the oldest and the newest row; null where there are none. */
export async function knownRange(
  db: Queryable,
): Promise<{ startMs: number; endMs: number } | null> {
  const { rows } = await db.query<{ oldest: string | null; newest: string | null }>(
    `SELECT (SELECT id FROM exchanges ORDER BY id LIMIT 1) AS oldest,
            (SELECT id FROM exchanges ORDER BY id DESC LIMIT 1) AS newest`,
  )
  const [{ oldest, newest } = { oldest: null, newest: null }] = rows
  return oldest === null || newest === null
    ? null
    : { startMs: timeOfId(oldest), endMs: timeOfId(newest) + 1 }
}

interface IdRange {
  behind: string
  below: string
}

async function readPage(
  db: Queryable,
  filter: ExchangeFilter,
  { behind, below }: IdRange,
  limit: number,
): Promise<ExportRow[]> {
  const values = new Values()
  const conditions = [
    `id > ${values.add(behind)}::uuid`,
    `id < ${values.add(below)}::uuid`,
    ...conditionsOf(filter, values),
  ]
  const { rows } = await db.query<ExportRow>(
    `SELECT ${EXPORT_COLUMNS.map(expressionOf).join(', ')}
     FROM exchanges
     WHERE ${conditions.join(' AND ')}
     ORDER BY id LIMIT ${values.add(limit)}`,
    values.values,
  )
  return rows
}

/** The same rows with their texts, in as many pages as these need. */
async function* withTexts(db: Queryable, rows: ExportRow[]): AsyncGenerator<ExportRow[], void> {
  const sizes = await readSizes(db, rows)
  for (let start = 0; start < rows.length;) {
    let end = start
    let bytes = 0
    while (end < rows.length && (end === start || bytes < PAGE_BODY_BYTES)) {
      bytes += sizes.get(rows[end++]!.id) ?? 0
    }
    const page = rows.slice(start, end)
    start = end
    const texts = bytes > 0 ? await readTexts(db, page) : new Map<string, TextRow>()
    yield page.map((row) => ({ ...row, ...(texts.get(row.id) ?? NO_TEXTS) }))
  }
}

const NO_TEXTS = Object.fromEntries(BODY_COLUMNS.map(({ name }) => [name, null]))

/** Names a range beside the ids, so that only the partitions that have them are looked at. */
const OF_THESE = 'id >= $2 AND id <= $3 AND id = ANY($1::uuid[])'

function valuesOf(rows: ExportRow[]): unknown[] {
  return [rows.map(({ id }) => id), rows[0]?.id, rows.at(-1)?.id]
}

async function readSizes(db: Queryable, rows: ExportRow[]): Promise<Map<string, number>> {
  const columns = BODY_COLUMNS.map(({ name }) => `coalesce(pg_column_size(${name}), 0)`)
  const { rows: sizes } = await db.query<{ id: string; bytes: number }>(
    `SELECT id, ${columns.join(' + ')} AS bytes FROM exchange_bodies WHERE ${OF_THESE}`,
    valuesOf(rows),
  )
  return new Map(sizes.map(({ id, bytes }) => [id, bytes]))
}

interface TextRow {
  id: string
  prompt: string | null
  answer: string[] | null
  tool_calls: string | null
  parameters: string | null
}

async function readTexts(db: Queryable, rows: ExportRow[]): Promise<Map<string, TextRow>> {
  const { rows: found } = await db.query<TextRow & { systemPrompt: string | null }>(
    `SELECT id, ${BODY_COLUMNS.map(expressionOf).join(', ')},
            (SELECT text FROM system_prompts WHERE digest = system_prompt) AS "systemPrompt"
     FROM exchange_bodies WHERE ${OF_THESE}`,
    valuesOf(rows),
  )
  return new Map(
    found.map(({ systemPrompt, ...row }) => [
      row.id,
      systemPrompt === null ? row : { ...row, ...joined(row, systemPrompt) },
    ]),
  )
}

type Asked = Parameters<typeof joinSystemPrompt>[0]

function joined({ prompt, parameters }: TextRow, systemPrompt: string) {
  const asked = {
    prompt: prompt === null ? null : (JSON.parse(prompt) as Asked['prompt']),
    parameters: parameters === null ? null : (JSON.parse(parameters) as Asked['parameters']),
  }
  const whole = joinSystemPrompt(asked, systemPrompt)
  return {
    prompt: whole.prompt === null ? null : JSON.stringify(whole.prompt),
    parameters: whole.parameters === null ? null : JSON.stringify(whole.parameters),
  }
}

/** JSON stays the text that it is: it is only handed on. */
function expressionOf({ name, kind }: ExportColumn): string {
  if (kind === 'json') return `${name}::text AS ${name}`
  // The driver makes texts of integers of 64 bits.
  return kind === 'integer' ? `${name}::int` : name
}
