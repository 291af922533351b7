// The ledger of deployments: every traffic state that a model ever had, and every attempt that failed.
//
// Whoever writes holds one lock for the whole ledger until the transaction ends: ids are then in the order of commits,
// numbers have no gaps, and what was live when an entry was decided on is still live when it is written. Entries are
// rare and written within milliseconds.
//
// Knows: SQL. Does not know: what a state means, who may write.

import { paged } from './page.ts'
import type { Paged } from './page.ts'
import type { Queryable } from './pool.ts'
import type { Actor } from './audit.ts'
import type { TrafficState } from '../deployments/state.ts'

export const ACTIONS = [
  'adopt',
  'deploy',
  'canary',
  'step',
  'promote',
  'shadow',
  'rollback',
  'weights',
] as const
type DeploymentAction = (typeof ACTIONS)[number]

/** An entry that is to be. */
export interface DeploymentDraft {
  model: string
  action: DeploymentAction
  state: TrafficState
  /** number that was live when it was asked for; null: none was */
  basedOn: number | null
  /** of a rollback: the number whose state this is */
  restores: number | null
  reason: string | null
  actor: Actor
}

export interface Deployment extends DeploymentDraft {
  /** of all models' entries, in the order in which they came to be */
  id: number
  /** of the model's, from 1 */
  number: number
  at: Date
  outcome: 'live' | 'failed'
  /** why it failed */
  error: string | null
}

export const DEPLOYMENTS_CHANNEL = 'headrace_deployments'

/** any number that nobody else takes: of an advisory lock */
const LEDGER_LOCK = 0x6865_6164

interface Row extends Omit<Deployment, 'actor'> {
  actorId: string | null
  actorName: string
  actorVia: Actor['via']
}

const COLUMNS = `
  id::float8 AS id, model, number, at, action, outcome, state, based_on AS "basedOn", restores, reason,
  actor_id AS "actorId", actor_name AS "actorName", actor_via AS "actorVia", error`

const fromRow = ({ actorId, actorName, actorVia, ...rest }: Row): Deployment => ({
  ...rest,
  actor: { id: actorId, name: actorName, via: actorVia },
})

/** Until the transaction ends nobody else writes. */
export async function lockLedger(transaction: Queryable): Promise<void> {
  await transaction.query('SELECT pg_advisory_xact_lock($1)', [LEDGER_LOCK])
}

/** In a transaction that holds the lock. Replicas are called when it commits. */
export async function insertDeployment(
  transaction: Queryable,
  draft: DeploymentDraft,
  at: Date,
  error: string | null,
): Promise<Deployment> {
  const { model, action, state, basedOn, restores, reason, actor } = draft
  const { rows } = await transaction.query<Row>(
    `INSERT INTO deployments
       (model, number, at, action, outcome, state, based_on, restores, reason, actor_id, actor_name, actor_via, error)
     SELECT $1, coalesce(max(number), 0) + 1, greatest($2::timestamptz, max(at)), $3, $4, $5::jsonb, $6, $7, $8, $9::uuid,
            $10, $11, $12
     FROM deployments WHERE model = $1
     RETURNING ${COLUMNS}`,
    [
      model,
      at,
      action,
      error === null ? 'live' : 'failed',
      JSON.stringify(state),
      basedOn,
      restores,
      reason,
      actor.id,
      actor.name,
      actor.via,
      error,
    ],
  )
  await transaction.query(`NOTIFY ${DEPLOYMENTS_CHANNEL}`)
  return fromRow(rows[0]!)
}

/**
 * The newest id, 0 where there is no entry, and whether one that was seen before is there still. Two looks at an index.
 * @param known 0: none
 */
export async function readNewestDeployment(
  db: Queryable,
  known: number,
): Promise<{ newest: number; hasKnown: boolean }> {
  const { rows } = await db.query<{ newest: number; hasKnown: boolean }>(
    `SELECT coalesce(max(id), 0)::float8 AS newest,
       $1 = 0 OR EXISTS (SELECT FROM deployments WHERE id = $1) AS "hasKnown"
     FROM deployments`,
    [known],
  )
  return rows[0]!
}

/** What became live after an entry, in order. @param after 0: what is live of every model, and nothing before it */
export async function listLiveSince(db: Queryable, after: number): Promise<Deployment[]> {
  const { rows } = await db.query<Row>(
    after === 0
      ? `SELECT ${COLUMNS} FROM (
           SELECT DISTINCT ON (model) * FROM deployments WHERE outcome = 'live' ORDER BY model, number DESC
         ) AS newest ORDER BY id`
      : `SELECT ${COLUMNS} FROM deployments WHERE id > $1 AND outcome = 'live' ORDER BY id`,
    after === 0 ? [] : [after],
  )
  return rows.map(fromRow)
}

export async function findLiveDeployment(db: Queryable, model: string): Promise<Deployment | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments WHERE model = $1 AND outcome = 'live' ORDER BY number DESC LIMIT 1`,
    [model],
  )
  return rows[0] ? fromRow(rows[0]) : null
}

/** What was live at a time; null before the first. */
export async function findDeploymentAt(
  db: Queryable,
  model: string,
  at: Date,
): Promise<Deployment | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments
     WHERE model = $1 AND outcome = 'live' AND at <= $2 ORDER BY number DESC LIMIT 1`,
    [model, at],
  )
  return rows[0] ? fromRow(rows[0]) : null
}

export async function findDeployment(
  db: Queryable,
  model: string,
  number: number,
): Promise<Deployment | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments WHERE model = $1 AND number = $2`,
    [model, number],
  )
  return rows[0] ? fromRow(rows[0]) : null
}

/** All that was ever live of a model, oldest first: what a rollback is reckoned from. */
export async function listLiveDeployments(db: Queryable, model: string): Promise<Deployment[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments WHERE model = $1 AND outcome = 'live' ORDER BY number`,
    [model],
  )
  return rows.map(fromRow)
}

/** A model's entries, newest first. @param before number from which on they are left out */
export async function listDeployments(
  db: Queryable,
  model: string,
  { before, limit }: { before: number | null; limit: number },
): Promise<Paged<Deployment>> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments
     WHERE model = $1 AND ($2::int IS NULL OR number < $2) ORDER BY number DESC LIMIT $3`,
    [model, before, limit + 1],
  )
  return paged(rows.map(fromRow), { after: null, limit })
}

/** Which deployment routed an exchange. @returns undefined where the exchange has no row, null where none did */
export async function findDeploymentOfExchange(
  db: Queryable,
  exchange: string,
): Promise<Deployment | null | undefined> {
  const { rows } = await db.query<{ deployment: number | null }>(
    'SELECT deployment::float8 AS deployment FROM exchanges WHERE id = $1',
    [exchange],
  )
  if (!rows[0]) return undefined
  if (rows[0].deployment === null) return null
  const { rows: entries } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM deployments WHERE id = $1`,
    [rows[0].deployment],
  )
  return entries[0] ? fromRow(entries[0]) : null
}

export interface Displacement {
  version: string
  at: Date
  /** id of the entry */
  by: number
}

/**
 * When versions last stopped to be wanted by what was live, and by which entry. Those that were never live are not in it,
 * nor those that are. Reads all of the ledger.
 */
export async function findDisplacements(
  db: Queryable,
  versions: readonly string[],
): Promise<Displacement[]> {
  const { rows } = await db.query<Displacement>(
    `WITH spans AS (
       SELECT state, lead(id) OVER later AS next_id, lead(at) OVER later AS next_at
       FROM deployments WHERE outcome = 'live'
       WINDOW later AS (PARTITION BY model ORDER BY number)
     ), wants AS (
       SELECT DISTINCT next_id, next_at, jsonb_path_query(state, '$.**.version') #>> '{}' AS version FROM spans
       UNION SELECT next_id, next_at, jsonb_array_elements_text(state -> 'fallbacks') FROM spans
     )
     SELECT version, max(next_at) AS at, max(next_id)::float8 AS by
     FROM wants WHERE version = ANY($1)
     GROUP BY version HAVING bool_and(next_id IS NOT NULL)`,
    [versions],
  )
  return rows
}
