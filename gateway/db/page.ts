// One page of a list that grows: keyset, newest first. Ids are UUIDv7, so that their order is the order of time.

export interface Page {
  /** the last id of the page before; null: from the newest on */
  after: string | null
  /** rows at most */
  limit: number
}

export interface Paged<T> {
  rows: T[]
  /** there are older ones */
  hasMore: boolean
}

/** @param rows of a query with `LIMIT limit + 1` */
export function paged<T>(rows: T[], { limit }: Page): Paged<T> {
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit }
}
