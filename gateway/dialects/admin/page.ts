// Pages of the admin API's lists: `?limit=20&after=ID`, newest first, the next one begins after `last_id`.

import { Type } from 'typebox'
import type { TSchema } from 'typebox'

import type { Page, Paged } from '../../db/page.ts'

const DEFAULT_LIMIT = 20

export const PAGE_QUERY = {
  // Texts, as all of a query is.
  limit: Type.Optional(
    Type.String({
      pattern: '^([1-9]\\d?|100)$',
      title: 'a whole number from 1 to 100',
      description: `Things on a page; without it ${DEFAULT_LIMIT}.`,
    }),
  ),
  after: Type.Optional(
    Type.String({
      format: 'uuid',
      title: 'the last_id of the page before',
      description: 'The last_id of the page before.',
    }),
  ),
}

export const flag = (description: string) =>
  Type.Optional(
    Type.Unsafe<'true' | 'false'>({ type: 'string', enum: ['true', 'false'], description }),
  )

export function readPage({ limit, after }: { limit?: string; after?: string }): Page {
  return { limit: limit === undefined ? DEFAULT_LIMIT : Number(limit), after: after ?? null }
}

export function listOf<T extends TSchema>(item: T) {
  return Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(item),
    has_more: Type.Boolean(),
    last_id: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  })
}

export function listBody<T, Body extends { id: string }>(
  { rows, hasMore }: Paged<T>,
  toBody: (row: T) => Body,
) {
  const data = rows.map(toBody)
  return { object: 'list' as const, data, has_more: hasMore, last_id: data.at(-1)?.id ?? null }
}
