// An export as one stream of bytes, read no faster than it is taken.
//
// Knows: pages in, a format out. Does not know: HTTP, files.

import { createEncoder } from './encoder.ts'
import { readPages } from '../db/export-pages.ts'
import type { FormatOptions } from './encoder.ts'
import type { ExportEnd } from './format.ts'
import type { ExchangeFilter } from '../db/exchange-fields.ts'
import type { Queryable } from '../db/pool.ts'

export interface ExportRequest extends FormatOptions {
  filter: ExchangeFilter
  /** goes on behind this id */
  after: string | null
  /** rows at most; null: all */
  limit: number | null
}

/** @returns how far it came */
export async function* exportExchanges(
  db: Queryable,
  request: ExportRequest,
): AsyncGenerator<Uint8Array, ExportEnd> {
  const { limit } = request
  const encoder = createEncoder(request, request.after !== null)
  const end: ExportEnd = { rows: 0, lastId: request.after, hasMore: false }
  // One more than asked for says that there are more.
  const pages = readPages(db, { ...request, limit: limit === null ? null : limit + 1 })
  for await (const page of pages) {
    end.hasMore = limit !== null && end.rows + page.length > limit
    const rows = end.hasMore ? page.slice(0, (limit ?? 0) - end.rows) : page
    end.rows += rows.length
    end.lastId = rows.at(-1)?.id ?? end.lastId
    const bytes = encoder.encode(rows)
    if (bytes.length > 0) yield bytes
  }
  const rest = encoder.end(end)
  if (rest.length > 0) yield rest
  return end
}
