// What may be read of the exchange log, by whom: admins all of it, developers what belongs to their project.
//
// Whoever reads what was said is named in the audit log; figures alone are read without a trace.
//
// Knows: the order of things. Does not know: SQL, HTTP.

import { recordReadings } from '../db/audit.ts'
import { fieldNamed } from '../db/exchange-fields.ts'
import { findExchangeIds } from '../db/exchange-pages.ts'
import { readBodies, readExchanges } from '../db/exchange-rows.ts'
import { findThread } from '../db/exchange-thread.ts'
import { searchWords } from '../db/exchange-search.ts'
import { NO_WORDS } from '../db/exchange-words.ts'
import { QueryTooSlow, readOnly } from '../db/read-only.ts'
import { GatewayError } from '../errors.ts'
import { byAnyName } from './end-users.ts'
import type { Caller } from '../callers/caller.ts'
import type { Actor } from '../db/audit.ts'
import type { ExchangeFilter } from '../db/exchange-fields.ts'
import type { Order } from '../db/exchange-pages.ts'
import type { ExchangeBodies, ExchangeRow } from '../db/exchange-rows.ts'
import type { WordSearch } from '../db/exchange-search.ts'
import type { Page, Paged } from '../db/page.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'

export interface Reader {
  actor: Actor
  /** of end users whose names may not be kept */
  pseudonyms: Pick<Pseudonyms, 'of'>
  /** the one project that may be seen; null: all */
  projectId: string | null
}

export function readerFor(caller: Caller, who: Omit<Reader, 'projectId'>): Reader {
  const { role, project } = caller
  return { ...who, projectId: role === 'admin' ? null : (project?.id ?? NO_PROJECT) }
}

/** in nobody's rows: what a developer without a project may see */
const NO_PROJECT = '00000000-0000-0000-0000-000000000000'

export interface ReadExchange {
  row: ExchangeRow
  /** undefined: not asked for; null: not kept */
  bodies?: ExchangeBodies | null
}

interface Listing extends Page {
  filter: ExchangeFilter
  order: Order
  withBodies: boolean
}

export async function listExchanges(
  pool: Pool,
  reader: Reader,
  { filter, order, withBodies, after, limit }: Listing,
): Promise<Paged<ReadExchange>> {
  const search = { filter: visibleTo(reader, filter), order, after, limit: limit + 1 }
  const ids = await bounded(pool, (db) => findExchangeIds(db, search))
  const rows = await read(pool, reader, ids.slice(0, limit), withBodies)
  return { rows, hasMore: ids.length > limit }
}

/** @throws GatewayError exchange_not_found, of what is another project's too */
export async function getExchange(pool: Pool, reader: Reader, id: string): Promise<ReadExchange> {
  await requireVisible(pool, reader, id)
  const [exchange] = await read(pool, reader, [id], true)
  if (!exchange) throw notFound(id)
  return exchange
}

/** The conversation that an exchange belongs to, oldest first. */
export async function getThread(
  pool: Pool,
  reader: Reader,
  id: string,
  withBodies: boolean,
): Promise<{ rows: ReadExchange[]; isCut: boolean }> {
  const row = await requireVisible(pool, reader, id)
  const { ids, isCut } = await bounded(pool, (db) => findThread(db, row))
  return { rows: await read(pool, reader, ids, withBodies), isCut }
}

/** Exchanges in which words were said, best first, with the places where they were. */
export async function searchExchanges(pool: Pool, reader: Reader, search: WordSearch) {
  if (search.language === NO_WORDS) {
    throw new GatewayError(
      'search_off',
      'This server does not index words: HEADRACE_SEARCH_LANGUAGE is none.',
    )
  }
  const filter = visibleTo(reader, search.filter)
  const found = await bounded(pool, (db) => searchWords(db, { ...search, filter }))
  const ids = found.hits.map(({ id }) => id)
  await recordReadings(pool, reader.actor, 'exchange.search', ids)
  const rows = new Map((await readExchanges(pool, ids)).map((row) => [row.id, row]))
  const hits = found.hits.flatMap((hit) => {
    const row = rows.get(hit.id)
    return row ? [{ ...hit, row }] : []
  })
  return { ...found, hits }
}

export function visibleTo(
  { projectId, pseudonyms }: Reader,
  asked: ExchangeFilter,
): ExchangeFilter {
  const filter = byAnyName(asked, pseudonyms)
  if (projectId === null) return filter
  const own = { field: fieldNamed('project_id'), values: [projectId] }
  return { ...filter, equal: [...filter.equal, own] }
}

async function requireVisible(db: Queryable, reader: Reader, id: string): Promise<ExchangeRow> {
  const [row] = await readExchanges(db, [id])
  if (row && (reader.projectId === null || row.projectId === reader.projectId)) return row
  throw notFound(id)
}

async function read(
  pool: Pool,
  { actor }: Reader,
  ids: readonly string[],
  withBodies: boolean,
): Promise<ReadExchange[]> {
  const rows = await readExchanges(pool, ids)
  if (!withBodies) return rows.map((row) => ({ row }))
  // Before they are read: what can't be told in the audit log is not shown.
  await recordReadings(pool, actor, 'exchange.read', ids)
  const bodies = await readBodies(pool, ids)
  return rows.map((row) => ({ row, bodies: bodies.get(row.id) ?? null }))
}

/** @throws GatewayError query_too_slow */
async function bounded<T>(pool: Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  try {
    return await readOnly(pool, work)
  } catch (error) {
    if (!(error instanceof QueryTooSlow)) throw error
    const message =
      'The search took too long. Narrow the time with from and to, or name more of what is searched for.'
    throw new GatewayError('query_too_slow', message, { cause: error })
  }
}

function notFound(id: string) {
  return new GatewayError('exchange_not_found', `There is no exchange '${id}'.`)
}
