// A change of what is declared, as one transaction: counted, called out, recorded, or none of it.
//
// Knows: transactions. Does not know: what is changed.

import { nextDeclaredRevision } from '../db/declared-revision.ts'
import { isRefusal } from '../db/refusal.ts'
import { inTransaction } from '../db/transaction.ts'
import { GatewayError } from '../errors.ts'
import type { Pool, Queryable } from '../db/pool.ts'

/** @throws GatewayError `declarations_unavailable` where the database is away, or what `work` throws */
export async function changeDeclared<T>(
  pool: Pool,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  const change = () =>
    inTransaction(pool, async (transaction) => {
      await nextDeclaredRevision(transaction)
      return work(transaction)
    })
  return orUnavailable(change)
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
