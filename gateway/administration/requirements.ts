// What versions of a model must have been measured at: read and replaced, with a row of the audit log.
//
// Knows: the order of things. Does not know: SQL, HTTP.

import { recordChange } from '../db/audit.ts'
import { listRequirements, lockRequirements, replaceRequirements } from '../db/requirements.ts'
import { inTransaction } from '../db/transaction.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool } from '../db/pool.ts'
import type { Requirement } from '../db/requirements.ts'

/** @param next what is to be required instead of what is; nobody else changes it meanwhile */
export async function setRequirements(
  pool: Pool,
  actor: Actor,
  model: string,
  next: (before: readonly Requirement[]) => readonly Requirement[],
): Promise<Requirement[]> {
  return inTransaction(pool, async (transaction) => {
    await lockRequirements(transaction)
    const before = await listRequirements(transaction, model)
    await replaceRequirements(transaction, model, next(before))
    const after = await listRequirements(transaction, model)
    await recordChange(transaction, actor, {
      action: 'requirements.set',
      kind: 'model',
      id: model,
      name: model,
      before: { requirements: before },
      after: { requirements: after },
    })
    return after
  })
}
