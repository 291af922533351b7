// Calls that are owed to addresses, until each was received or given up.
//
// Whoever sends one takes it for a while: where it dies in the middle the call is due again, so that each is received at
// least once. Clocks are PostgreSQL's.
//
// Knows: SQL. Does not know: HTTP, signatures, which addresses are configured.

import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export interface Delivery {
  id: string
  /** the same at every attempt and for all addresses */
  eventId: string
  url: string
  payload: string
  /** this one included */
  attempts: number
}

export const DELIVERY_STATES = ['pending', 'delivered', 'given_up'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** What became of a call. */
export interface DeliveryRecord {
  id: string
  eventId: string
  /** such as `deployment.rollback` */
  type: string
  url: string
  state: DeliveryState
  attempts: number
  createdAt: Date
  /** null: there will be none */
  nextAt: Date | null
  deliveredAt: Date | null
  lastError: string | null
}

/** longer than an attempt may take */
const TAKEN_S = 60
/** whoever is away longer has more to repair than what we could tell */
const GIVEN_UP_AFTER = '3 days'
/** Long enough to ask what a month's deployments told whom; the ledger has the deployments for ever. */
const KEPT_FOR = '30 days'

const STATE = `CASE WHEN delivered_at IS NOT NULL THEN 'delivered'
  WHEN next_at IS NOT NULL THEN 'pending' ELSE 'given_up' END`
const RECORD = `
  id, event_id AS "eventId", payload::jsonb ->> 'type' AS type, url, ${STATE} AS state, attempts,
  created_at AS "createdAt", next_at AS "nextAt", delivered_at AS "deliveredAt", last_error AS "lastError"`

export async function insertDelivery(
  transaction: Queryable,
  { id, eventId, url, payload }: Omit<Delivery, 'attempts'>,
): Promise<void> {
  await transaction.query(
    'INSERT INTO webhook_deliveries (id, event_id, url, payload) VALUES ($1, $2, $3, $4)',
    [id, eventId, url, payload],
  )
}

/** One that whoever inserts it sends itself, once: nobody else gets it. */
export async function insertOwnDelivery(
  db: Queryable,
  { id, eventId, url, payload }: Omit<Delivery, 'attempts'>,
): Promise<void> {
  await db.query(
    `INSERT INTO webhook_deliveries (id, event_id, url, payload, attempts, next_at)
     VALUES ($1, $2, $3, $4, 1, NULL)`,
    [id, eventId, url, payload],
  )
}

/** Those that are due, oldest first; nobody else gets them for a while. @param limit of each address */
export async function takeDeliveries(
  db: Queryable,
  urls: readonly string[],
  limit: number,
): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `WITH taken AS MATERIALIZED (
       SELECT due.id FROM unnest($1::text[]) AS owed (url) CROSS JOIN LATERAL (
         SELECT id FROM webhook_deliveries WHERE next_at <= now() AND webhook_deliveries.url = owed.url
         ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
       ) AS due
     )
     UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = now() + make_interval(secs => ${TAKEN_S})
     WHERE id IN (SELECT id FROM taken)
     RETURNING id, event_id AS "eventId", url, payload, attempts`,
    [urls, limit],
  )
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

export async function deliveryReceived(db: Queryable, id: string): Promise<void> {
  await db.query(
    'UPDATE webhook_deliveries SET delivered_at = now(), next_at = NULL, last_error = NULL WHERE id = $1',
    [id],
  )
}

/**
 * What was given up while it was on its way, as that of an address that is removed, stays so.
 * @param retryMs null: it is not tried again
 * @returns whether it is tried again
 */
export async function deliveryFailed(
  db: Queryable,
  { id, error, retryMs }: { id: string; error: string; retryMs: number | null },
): Promise<boolean> {
  const { rows } = await db.query<{ isOwed: boolean }>(
    `UPDATE webhook_deliveries SET last_error = $2, next_at = CASE
       WHEN next_at IS NOT NULL AND owed_since > now() - interval '${GIVEN_UP_AFTER}'
       THEN now() + make_interval(secs => $3)
     END WHERE id = $1
     RETURNING next_at IS NOT NULL AS "isOwed"`,
    [id, error, retryMs === null ? null : retryMs / 1000],
  )
  return rows[0]?.isOwed ?? false
}

/** Nothing is owed to an address any more. */
export async function giveUpDeliveries(
  db: Queryable,
  { url, error }: { url: string; error: string },
): Promise<void> {
  await db.query(
    'UPDATE webhook_deliveries SET next_at = NULL, last_error = $2 WHERE url = $1 AND next_at IS NOT NULL',
    [url, error],
  )
}

/** What is owed to addresses that nobody has called for so long as a call may be tried. @param urls that are called */
export async function giveUpForgotten(db: Queryable, urls: readonly string[]): Promise<void> {
  await db.query(
    `UPDATE webhook_deliveries SET next_at = NULL, last_error = $2
     WHERE next_at <= now() AND owed_since <= now() - interval '${GIVEN_UP_AFTER}' AND url <> ALL($1)`,
    [urls, 'Nothing is sent there any more.'],
  )
}

/** Those that nobody is to hear of any more. @returns how many there were; fewer than `limit` when nothing is left */
export async function deleteOldDeliveries(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM webhook_deliveries WHERE id IN (
       SELECT id FROM webhook_deliveries
       WHERE id < exchange_id_at(now() - interval '${KEPT_FOR}') AND next_at IS NULL
         AND owed_since < now() - interval '${KEPT_FOR}'
       ORDER BY id LIMIT $1
     )`,
    [limit],
  )
  return rowCount ?? 0
}

/** Owed anew, whatever became of it. */
export async function resendDelivery(db: Queryable, id: string): Promise<void> {
  await db.query(
    `UPDATE webhook_deliveries
     SET next_at = now(), owed_since = now(), attempts = 0, delivered_at = NULL, last_error = NULL WHERE id = $1`,
    [id],
  )
}

export async function findDelivery(db: Queryable, id: string): Promise<DeliveryRecord | null> {
  const { rows } = await db.query<DeliveryRecord>(
    `SELECT ${RECORD} FROM webhook_deliveries WHERE id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** Newest first. @param state null: all of them */
export async function listDeliveries(
  db: Queryable,
  { state, url }: { state: DeliveryState | null; url: string | null },
  page: Page,
): Promise<Paged<DeliveryRecord>> {
  const { rows } = await db.query<DeliveryRecord>(
    `SELECT ${RECORD} FROM webhook_deliveries
     WHERE ($1::text IS NULL OR ${STATE} = $1) AND ($2::text IS NULL OR url = $2) AND ($3::uuid IS NULL OR id < $3)
     ORDER BY id DESC LIMIT $4`,
    [state, url, page.after, page.limit + 1],
  )
  return paged(rows, page)
}
