// A page of items, as the Responses API lists them.

import { GatewayError } from '../../errors.ts'
import type { Item } from './item.ts'

export interface PageAsked {
  limit: number
  order: 'asc' | 'desc'
  /** id of the item before the first of the page */
  after: string | undefined
}

/** @param items oldest first */
export function itemList(items: Item[], { limit, order, after }: PageAsked) {
  const ordered = order === 'asc' ? items : items.toReversed()
  const before = after === undefined ? -1 : ordered.findIndex(({ id }) => id === after)
  if (after !== undefined && before < 0) {
    throw new GatewayError(
      'invalid_value',
      `'after' must be the id of one of the items; got '${after.slice(0, 60)}'.`,
      { param: 'after' },
    )
  }
  const rest = ordered.slice(before + 1)
  const data = rest.slice(0, limit)
  return {
    object: 'list' as const,
    data,
    // The document knows no null here.
    first_id: data[0]?.id ?? '',
    last_id: data.at(-1)?.id ?? '',
    has_more: rest.length > data.length,
  }
}
