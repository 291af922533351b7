// A change of what is declared, as one transaction: counted, called out, recorded, or none of it.
//
// Knows: transactions. Does not know: what is changed, where changes are recorded.

import { nextDeclaredRevision } from '../db/declared-revision.ts'
import { isRefusal } from '../db/refusal.ts'
import { GatewayError } from '../errors.ts'
import type { Caller } from '../callers/caller.ts'
import type { Pool, Queryable } from '../db/pool.ts'

export interface DeclaredChange {
  action: 'create' | 'update' | 'delete'
  kind: 'upstream' | 'model'
  name: string
  /** as the admin API shows it, without secrets; null where it was not there */
  before: object | null
  after: object | null
}

/** Writes down who changed what, in the transaction of the change. */
export type RecordChange = (
  transaction: Queryable,
  actor: Caller,
  change: DeclaredChange,
) => Promise<void>

/** @throws GatewayError `declarations_unavailable` where the database is away, or what `work` throws */
export async function changeDeclared<T>(
  pool: Pool,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  return orUnavailable(async () => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await nextDeclaredRevision(client)
      const result = await work(client)
      await client.query('COMMIT')
      client.release()
      return result
    } catch (error) {
      // Ending the connection rolls back too, and works in whatever state it is.
      client.release(true)
      throw error
    }
  })
}

/** @throws GatewayError `declarations_unavailable` where the database is away */
export async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof GatewayError || isRefusal(cause)) throw cause
    throw new GatewayError(
      'declarations_unavailable',
      'What is declared can be neither read nor changed at the moment: the database is away. What is in force stays.',
      { cause },
    )
  }
}
