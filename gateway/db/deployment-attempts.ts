// Switches that are under way: each is a row from before anything is loaded until its entry is in the ledger.
//
// A gateway that dies in the middle stops renewing its row. Clocks are PostgreSQL's: replicas' may differ.
//
// Knows: SQL. Does not know: what a switch does.

import { DEPLOYMENTS_CHANNEL } from './deployments.ts'
import type { DeploymentDraft } from './deployments.ts'
import type { Queryable } from './pool.ts'

export interface Attempt {
  id: string
  beganAt: Date
  draft: DeploymentDraft
  /** requests for the model wait for its end */
  holds: boolean
}

/** Renewed every second; a gateway that has not managed it for this long is gone, or as good as that. */
const LOST_S = 10

interface Row {
  id: string
  beganAt: Date
  entry: DeploymentDraft
  holds: boolean
}

const COLUMNS = `id, began_at AS "beganAt", entry, holds`
const fromRow = ({ entry, ...row }: Row): Attempt => ({ ...row, draft: entry })

/** In a transaction that holds the ledger's lock. Replicas are called when it commits. */
export async function insertAttempt(
  transaction: Queryable,
  { id, draft, holds }: Omit<Attempt, 'beganAt'>,
): Promise<void> {
  await transaction.query(
    'INSERT INTO deployment_attempts (id, model, entry, holds) VALUES ($1, $2, $3, $4)',
    [id, draft.model, JSON.stringify(draft), holds],
  )
  await transaction.query(`NOTIFY ${DEPLOYMENTS_CHANNEL}`)
}

export async function renewAttempt(db: Queryable, id: string): Promise<void> {
  await db.query('UPDATE deployment_attempts SET beat_at = now() WHERE id = $1', [id])
}

/** @returns whether it was there: otherwise somebody has taken its gateway for dead, and closed it */
export async function deleteAttempt(transaction: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await transaction.query('DELETE FROM deployment_attempts WHERE id = $1', [
    id,
  ])
  await transaction.query(`NOTIFY ${DEPLOYMENTS_CHANNEL}`)
  return rowCount === 1
}

/** Those whose gateways live. */
export async function listAttempts(db: Queryable, model: string | null): Promise<Attempt[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployment_attempts
     WHERE beat_at > now() - make_interval(secs => ${LOST_S}) AND ($1::text IS NULL OR model = $1) ORDER BY id`,
    [model],
  )
  return rows.map(fromRow)
}

/** Those whose gateways don't. */
export async function listLostAttempts(db: Queryable): Promise<Attempt[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployment_attempts
     WHERE beat_at <= now() - make_interval(secs => ${LOST_S}) ORDER BY id`,
  )
  return rows.map(fromRow)
}
