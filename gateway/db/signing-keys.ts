// Table `signing_keys`: what signs where the operator set no secret, the same on every replica.

import type { Queryable } from './pool.ts'

/** @param made the key where there is none yet @returns the one that is kept */
export async function keepSigningKey(
  db: Queryable,
  purpose: string,
  made: Buffer,
): Promise<Buffer> {
  await db.query('INSERT INTO signing_keys (purpose, key) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    purpose,
    made,
  ])
  const { rows } = await db.query<{ key: Buffer }>(
    'SELECT key FROM signing_keys WHERE purpose = $1',
    [purpose],
  )
  const [row] = rows
  if (!row) throw new Error(`The key of ${purpose} was made and is not there. This is a bug.`)
  return row.key
}
