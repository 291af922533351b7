// The count of changes to what is declared, and the call that wakes replicas.
//
// Knows: SQL. Does not know: what is declared.

import type { Queryable } from './pool.ts'

export const DECLARED_CHANNEL = 'headrace_declared'

/** Before a change, in its transaction: whoever else wants to change something waits for its end. */
export async function nextDeclaredRevision(transaction: Queryable): Promise<void> {
  await transaction.query('UPDATE declared_revision SET revision = revision + 1')
  await transaction.query(`NOTIFY ${DECLARED_CHANNEL}`)
}

export async function readDeclaredRevision(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ revision: string }>('SELECT revision FROM declared_revision')
  return rows[0]?.revision ?? '0'
}
