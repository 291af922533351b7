// What of PostgreSQL's errors comes from the values themselves, so that trying again is of no use.

import pg from 'pg'

/** data exception, integrity violation, a program's limit */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(22|23|54)/.test(error.code ?? '')
}
