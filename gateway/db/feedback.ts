// Table `feedback`: what a giver thinks of an exchange, one row for the two of them.
//
// What comes from somebody whose exchange it may be, and whose row is not there to tell, waits unconfirmed: nobody is
// shown it. The exchange's row confirms it, or it goes.
//
// Knows: SQL. Does not know: HTTP, tokens, spools.

import { lowestIdAt } from './partitions.ts'
import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export type Thumb = 'up' | 'down'
export type GivenBy = 'end_user' | 'caller' | 'admin'

/** What is said. As a change: what is absent stays, null takes away. */
export interface Opinion {
  thumb?: Thumb | null
  score?: number | null
  comment?: string | null
  correction?: string | null
}

/** Who says it. */
export interface Giver {
  /** what makes it the same one again: see the migration */
  giver: string
  givenBy: GivenBy
  endUser: string | null
  callerId: string | null
  callerName: string | null
  projectId: string | null
}

/** On its way to the table; as JSON it is what waits in the spool. */
export interface GivenFeedback extends Giver {
  id: string
  exchangeId: string
  opinion: Opinion
  model: string | null
  version: string | null
  isConfirmed: boolean
  /** ISO 8601 */
  at: string
}

export interface Feedback extends Required<Opinion> {
  id: string
  exchangeId: string
  givenBy: GivenBy
  endUser: string | null
  callerId: string | null
  callerName: string | null
  model: string | null
  version: string | null
  isConfirmed: boolean
  givenAt: Date
  updatedAt: Date
}

export interface FeedbackFilter {
  exchangeId?: string
  thumb?: Thumb
  minScore?: number
  maxScore?: number
  model?: string
  version?: string
  /** names that one of them has */
  endUsers?: string[]
  givenBy?: GivenBy
  since?: Date
  until?: Date
}

const COLUMNS = `
  id, exchange_id AS "exchangeId", given_by AS "givenBy", end_user AS "endUser", caller_id AS "callerId",
  caller_name AS "callerName", thumb, score, comment, correction, model, version,
  is_confirmed AS "isConfirmed", given_at AS "givenAt", updated_at AS "updatedAt"`

/** The newest word counts, whichever order they come in. @returns the row; null where a newer word was there */
export async function upsertFeedback(
  db: Queryable,
  { opinion, ...given }: GivenFeedback,
): Promise<Feedback | null> {
  const { rows } = await db.query<Feedback>(UPSERT, [
    given.id,
    given.exchangeId,
    given.giver,
    given.givenBy,
    given.endUser,
    given.callerId,
    given.callerName,
    given.projectId,
    JSON.stringify(opinion),
    given.model,
    given.version,
    given.isConfirmed,
    given.at,
  ])
  return rows[0] ?? null
}

// What the change doesn't name stays; it is the change that is asked, since null is a value.
const changed = (name: string) =>
  `${name} = CASE WHEN $9::jsonb ? '${name}' THEN excluded.${name} ELSE feedback.${name} END`

const UPSERT = `
  INSERT INTO feedback
    (id, exchange_id, giver, given_by, end_user, caller_id, caller_name, project_id, thumb, score, comment,
     correction, model, version, is_confirmed, given_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb ->> 'thumb', ($9::jsonb ->> 'score')::smallint,
          $9::jsonb ->> 'comment', $9::jsonb ->> 'correction', $10, $11, $12, $13, $13)
  ON CONFLICT (exchange_id, giver) DO UPDATE SET
    ${['thumb', 'score', 'comment', 'correction'].map(changed).join(', ')},
    caller_id = excluded.caller_id, caller_name = excluded.caller_name, project_id = excluded.project_id,
    model = coalesce(excluded.model, feedback.model),
    version = coalesce(excluded.version, feedback.version),
    is_confirmed = excluded.is_confirmed OR feedback.is_confirmed,
    updated_at = excluded.updated_at
  WHERE feedback.updated_at <= excluded.updated_at
  RETURNING ${COLUMNS}`

export async function findFeedback(
  db: Queryable,
  exchangeId: string,
  giver: string,
): Promise<Feedback | null> {
  const { rows } = await db.query<Feedback>(
    `SELECT ${COLUMNS} FROM feedback WHERE exchange_id = $1 AND giver = $2`,
    [exchangeId, giver],
  )
  return rows[0] ?? null
}

export async function deleteFeedbackOfGiver(
  db: Queryable,
  exchangeId: string,
  giver: string,
): Promise<boolean> {
  const { rowCount } = await db.query(
    'DELETE FROM feedback WHERE exchange_id = $1 AND giver = $2',
    [exchangeId, giver],
  )
  return rowCount === 1
}

export async function deleteFeedback(db: Queryable, id: string): Promise<Feedback | null> {
  const { rows } = await db.query<Feedback>(
    `DELETE FROM feedback WHERE id = $1 RETURNING ${COLUMNS}`,
    [id],
  )
  return rows[0] ?? null
}

/** Newest first. */
export async function listFeedback(
  db: Queryable,
  filter: FeedbackFilter,
  page: Page,
): Promise<Paged<Feedback>> {
  const { rows } = await db.query<Feedback>(
    `SELECT ${COLUMNS} FROM feedback
     WHERE is_confirmed
       AND ($1::uuid IS NULL OR exchange_id = $1)
       AND ($2::text IS NULL OR thumb = $2)
       AND ($3::smallint IS NULL OR score >= $3)
       AND ($4::smallint IS NULL OR score <= $4)
       AND ($5::text IS NULL OR model = $5)
       AND ($6::text IS NULL OR version = $6)
       AND ($7::text[] IS NULL OR end_user = ANY($7))
       AND ($8::text IS NULL OR given_by = $8)
       AND ($9::uuid IS NULL OR id >= $9)
       AND ($10::uuid IS NULL OR id < $10)
       AND ($11::uuid IS NULL OR id < $11)
     ORDER BY id DESC LIMIT $12`,
    [
      filter.exchangeId,
      filter.thumb,
      filter.minScore,
      filter.maxScore,
      filter.model,
      filter.version,
      filter.endUsers,
      filter.givenBy,
      filter.since && lowestIdAt(filter.since.getTime()),
      filter.until && lowestIdAt(filter.until.getTime()),
      page.after,
      page.limit + 1,
    ],
  )
  return paged(rows, page)
}

// Of a project's callers each may speak of the others' exchanges, as they may read each other's stored ones.
const IS_OWN = `(feedback.is_confirmed OR coalesce(
  feedback.caller_id = exchanges.caller_id OR feedback.project_id = exchanges.project_id, false))`

/**
 * Confirms what waited for its exchange's row and notes the model, and deletes what turned out to be of others.
 * @param exchangeId null: of any exchange
 * @returns how many waited no longer; fewer than `limit` when none is left
 */
export async function confirmFeedback(
  db: Queryable,
  exchangeId: string | null,
  limit: number,
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `WITH arrived AS (
       SELECT feedback.id, exchanges.model, exchanges.version, ${IS_OWN} AS is_own
       FROM feedback JOIN exchanges ON exchanges.id = feedback.exchange_id
       WHERE (NOT feedback.is_confirmed OR feedback.model IS NULL)
         -- A refused exchange may have no model: nothing is left to be done then.
         AND (NOT feedback.is_confirmed OR exchanges.model IS NOT NULL)
         AND ($1::uuid IS NULL OR feedback.exchange_id = $1)
       LIMIT $2
     ), confirmed AS (
       UPDATE feedback
       SET is_confirmed = true, model = arrived.model, version = arrived.version
       FROM arrived WHERE feedback.id = arrived.id AND arrived.is_own
     ), refused AS (
       DELETE FROM feedback USING arrived WHERE feedback.id = arrived.id AND NOT arrived.is_own
     )
     SELECT count(*)::int AS count FROM arrived`,
    [exchangeId, limit],
  )
  return rows[0]?.count ?? 0
}

/** What waits for exchanges that began before, whose rows never came. @returns how many there were */
export async function deleteUnconfirmed(db: Queryable, before: Date): Promise<number> {
  const { rowCount } = await db.query(
    'DELETE FROM feedback WHERE NOT is_confirmed AND given_at < $1',
    [before],
  )
  return rowCount ?? 0
}

/** With the days of their exchanges. @returns how many there were */
export async function deleteFeedbackBefore(db: Queryable, day: Date): Promise<number> {
  const { rowCount } = await db.query('DELETE FROM feedback WHERE exchange_id < $1', [
    lowestIdAt(day.getTime()),
  ])
  return rowCount ?? 0
}
