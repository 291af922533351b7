// A page of the exchange log that meets a filter, found in bounded time wherever its rows are.
//
// The newest rows that meet a filter may be the newest of all, or three rows of last month. PostgreSQL's planner guesses
// which by how often a value occurs, and a log defeats it: a version that answered everything until noon answers nothing
// now. So the log is read backwards in stretches of days that grow, so that only these days' partitions are planned for
// and opened, and in each
//
//   1. some thousands of rows are walked along, newest first, by the key or by an index of one of the filter's fields;
//      what is common is found here;
//   2. where that was not enough, stretches of time before them, each longer than the last, are searched as a whole by
//      whatever indexes there are; what is rare is found here. One that turns out to be full of matches is cut.
//
// Ids are UUIDv7: their order is that of time. `low` is in a stretch, `high` is not. Oldest first is all of it, mirrored.
//
// Knows: SQL, ids. Does not know: what is made of the ids.

import { conditionsOf, FIELDS, Parameters } from './exchange-fields.ts'
import { daysOf } from './exchange-rows.ts'
import { dayOf, lowestIdAt, timeOfId } from './partitions.ts'
import type { ExchangeFilter, Field, FieldValue } from './exchange-fields.ts'
import type { Queryable } from './pool.ts'

interface Stretch {
  low: string
  high: string
}

export type Order = 'newest' | 'oldest'

export interface Search {
  filter: ExchangeFilter
  order: Order
  /** the id after which to go on */
  after: string | null
  limit: number
}

/** A few milliseconds; a value that one row of two hundred has fills a page with these. */
const WALKED_ROWS = 5_000
/** More matches than that in a stretch, and a part of it has a page as well. */
const MAX_FOUND = 5_000
/** Each look at a day's summaries takes some milliseconds, whatever it finds: few and large ones. */
const GROWTH = 8
const DAYS_GROWTH = 4
const DAY_MS = 24 * 60 * 60_000
const LOWEST = '00000000-0000-0000-0000-000000000000'
const HIGHEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
/** by clocks that are ahead */
const FUTURE_MS = 60 * 60_000

/** @returns ids in order, as many as asked for if there are as many */
export async function findExchangeIds(db: Queryable, search: Search): Promise<string[]> {
  const { order, limit } = search
  const whole = await boundsOf(db, search)
  const ids: string[] = []
  if (whole === null) return ids
  for (const stretch of inGrowingDays(whole, order)) {
    ids.push(...(await new Pass(db, search, stretch).find(limit - ids.length)))
    if (ids.length >= limit) break
  }
  return ids
}

/** @returns null where there is nothing */
async function boundsOf(
  db: Queryable,
  { filter: { from, to }, order, after }: Search,
): Promise<Stretch | null> {
  let low = from ? lowestIdAt(from.getTime()) : LOWEST
  let high = to ? lowestIdAt(to.getTime()) : lowestIdAt(Date.now() + FUTURE_MS)
  if (after !== null && order === 'newest' && after < high) high = after
  if (after !== null && order === 'oldest' && after >= low) low = idAfter(after)
  if (order === 'newest') return low < high ? { low, high } : null
  // Where the log begins, so that no empty years are read.
  const { rows } = await db.query<{ id: string }>(
    'SELECT id FROM exchanges WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 1',
    [low, high],
  )
  return rows[0] ? { low: rows[0].id, high } : null
}

/** What is left of a day, then 1 day, 4, 16, …, so that two years are six stretches. */
function* inGrowingDays({ low, high }: Stretch, order: Order): Generator<Stretch> {
  let days = 1
  if (order === 'newest') {
    while (low < high) {
      const day = dayOf(timeOfId(high) - 1)
      const start = lowestIdAt((day - days + 1) * DAY_MS)
      const from = start > low ? start : low
      yield { low: from, high }
      high = from
      days *= DAYS_GROWTH
    }
    return
  }
  while (low < high) {
    const end = lowestIdAt((dayOf(timeOfId(low)) + days) * DAY_MS)
    const to = end < high ? end : high
    yield { low, high: to }
    low = to
    days *= DAYS_GROWTH
  }
}

/** One stretch of days, searched. */
class Pass {
  readonly #db: Queryable
  readonly #filter: ExchangeFilter
  readonly #isNewestFirst: boolean
  #rest: Stretch
  /** what has one value in the filter and a B-tree of its own */
  readonly #needle: Needle | null

  constructor(db: Queryable, { filter, order }: Search, stretch: Stretch) {
    this.#db = db
    this.#filter = filter
    this.#isNewestFirst = order === 'newest'
    this.#rest = stretch
    this.#needle = needleOf(filter)
  }

  async find(limit: number): Promise<string[]> {
    const { ids, walkedMs } = await this.#walk(limit)
    // As wide as what was walked, at first.
    let spanMs = GROWTH * Math.max(1, walkedMs)
    let growth = GROWTH
    while (ids.length < limit && !isEmpty(this.#rest)) {
      const part = this.#nearest(spanMs)
      const { found, isCut } = await this.#search(part, limit - ids.length)
      if (isCut) {
        // They are near: whoever grew again would only be cut again.
        spanMs = spanOf(part) / GROWTH
        growth = 1
        continue
      }
      ids.push(...found)
      this.#leave(part)
      spanMs *= growth
    }
    return ids
  }

  get #direction() {
    return this.#isNewestFirst ? 'DESC' : 'ASC'
  }

  /** Along an index, row by row; what was looked at is taken off the rest. */
  async #walk(limit: number): Promise<{ ids: string[]; walkedMs: number }> {
    const direction = this.#direction
    const parameters = new Parameters()
    const { where, orderBy } = this.#path(parameters)
    const conditions = conditionsOf(this.#filter, parameters)
    const { rows } = await this.#db.query<{ id: string }>(
      `SELECT id FROM (
         SELECT * FROM exchanges WHERE ${where} ORDER BY ${orderBy} LIMIT ${WALKED_ROWS}
       ) AS walked
       WHERE ${conditions.join(' AND ') || 'true'}
       ORDER BY id ${direction} LIMIT ${parameters.add(limit)}`,
      parameters.values,
    )
    const ids = rows.map(({ id }) => id)
    if (ids.length >= limit) return { ids, walkedMs: 0 }

    const bounds = new Parameters()
    const path = this.#path(bounds)
    const walk = `SELECT id FROM exchanges WHERE ${path.where} ORDER BY ${path.orderBy} LIMIT 1`
    const { rows: ends } = await this.#db.query<{ first: string | null; last: string | null }>(
      `SELECT (${walk}) AS first, (${walk} OFFSET ${WALKED_ROWS - 1}) AS last`,
      bounds.values,
    )
    const { first = null, last = null } = ends[0] ?? {}
    const { low, high } = this.#rest
    if (first === null || last === null) {
      this.#rest = { low: high, high }
      return { ids, walkedMs: 0 }
    }
    this.#rest = this.#isNewestFirst ? { low, high: last } : { low: idAfter(last), high }
    return { ids, walkedMs: Math.abs(timeOfId(first) - timeOfId(last)) }
  }

  /**
   * The index to go along. Told by comparing rows, (field, id) < (value, high), and never by field = value: of that the
   * planner concludes that the key's order will do, and walks through millions of others.
   */
  #path(parameters: Parameters): { where: string; orderBy: string } {
    const { low, high } = this.#rest
    const [from, to] = [parameters.add(low), parameters.add(high)]
    const direction = this.#direction
    const between = `id >= ${from}::uuid AND id < ${to}::uuid`
    if (!this.#needle) return { where: between, orderBy: `id ${direction}` }
    const { field, value } = this.#needle
    const { name } = field
    const orderBy = `${name} ${direction}, id ${direction}`
    if (value === null) return { where: `${name} IS NULL AND ${between}`, orderBy }
    const needle = `${parameters.add(value)}::${field.kind === 'id' ? 'uuid' : 'text'}`
    // A partial index is taken where its condition is told.
    const partial = field.needle?.among
      ? `${name} <> 'completed'`
      : field.needle?.holdsNull
        ? 'true'
        : `${name} IS NOT NULL`
    return {
      where: `${partial} AND ${between} AND (${name}, id) >= (${needle}, ${from}::uuid)
        AND (${name}, id) < (${needle}, ${to}::uuid)`,
      orderBy,
    }
  }

  /** All of a part at once, by whatever indexes serve. */
  async #search(part: Stretch, limit: number): Promise<{ found: string[]; isCut: boolean }> {
    const parameters = new Parameters()
    const conditions = conditionsOf(this.#filter, parameters)
    const [low, high] = [parameters.add(part.low), parameters.add(part.high)]
    // Materialized, so that it is planned as if all of it were wanted; the limit outside ends it all the same.
    const { rows } = await this.#db.query<{ id: string; total: number }>(
      `WITH matching AS MATERIALIZED (
         SELECT id FROM exchanges
         WHERE id >= ${low}::uuid AND id < ${high}::uuid AND ${conditions.join(' AND ') || 'true'}
       )
       SELECT id, (count(*) OVER ())::int AS total
       FROM (SELECT id FROM matching LIMIT ${MAX_FOUND + 1}) AS capped
       ORDER BY id ${this.#direction} LIMIT ${parameters.add(limit)}`,
      parameters.values,
    )
    const isCut = (rows[0]?.total ?? 0) > MAX_FOUND && spanOf(part) > 1
    return { found: rows.map(({ id }) => id), isCut }
  }

  #nearest(spanMs: number): Stretch {
    const { low, high } = this.#rest
    if (this.#isNewestFirst) {
      const from = lowestIdAt(timeOfId(high) - Math.ceil(spanMs))
      return { low: from > low ? from : low, high }
    }
    const to = lowestIdAt(timeOfId(low) + Math.ceil(spanMs) + 1)
    return { low, high: to < high ? to : high }
  }

  #leave(part: Stretch): void {
    const { low, high } = this.#rest
    this.#rest = this.#isNewestFirst ? { low, high: part.low } : { low: part.high, high }
  }
}

interface Needle {
  field: Field
  value: FieldValue | null
}

function needleOf({ equal }: ExchangeFilter): Needle | null {
  for (const field of FIELDS) {
    if (!field.needle) continue
    const { values } = equal.find((one) => one.field === field) ?? { values: [] }
    const [value] = values
    if (values.length !== 1 || value === undefined) continue
    const { among, holdsNull } = field.needle
    if (value === null ? holdsNull : (among?.includes(String(value)) ?? true))
      return { field, value }
  }
  return null
}

function isEmpty({ low, high }: Stretch): boolean {
  return low >= high
}

function spanOf({ low, high }: Stretch): number {
  return timeOfId(high) - timeOfId(low)
}

/** The next one; the highest of all has none. */
function idAfter(id: string): string {
  if (id === HIGHEST) return id
  const next = (BigInt(`0x${id.replaceAll('-', '')}`) + 1n).toString(16).padStart(32, '0')
  return next.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** @returns those of the ids whose exchanges meet a filter, in order */
export async function whichMeet(
  db: Queryable,
  filter: ExchangeFilter,
  ids: readonly string[],
): Promise<string[]> {
  if (ids.length === 0) return []
  const parameters = new Parameters()
  const conditions = [
    `id = ANY(${parameters.add(ids)}::uuid[])`,
    daysOf(ids),
    ...conditionsOf(filter, parameters),
  ]
  if (filter.from) conditions.push(`id >= '${lowestIdAt(filter.from.getTime())}'`)
  if (filter.to) conditions.push(`id < '${lowestIdAt(filter.to.getTime())}'`)
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM exchanges WHERE ${conditions.join(' AND ')} ORDER BY id`,
    parameters.values,
  )
  return rows.map(({ id }) => id)
}
