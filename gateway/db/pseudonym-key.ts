// The one row with the key that pseudonyms are made with.

import type { Queryable } from './pool.ts'

export async function readPseudonymKey(db: Queryable): Promise<Buffer> {
  const { rows } = await db.query<{ key: Buffer }>('SELECT key FROM pseudonym_key')
  const [row] = rows
  if (!row) throw new Error('The table pseudonym_key is empty; a migration fills it.')
  return row.key
}
