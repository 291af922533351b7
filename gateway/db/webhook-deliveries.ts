// Calls that are owed to addresses, until each was received or given up.
//
// Whoever sends one takes it for a while: where it dies in the middle the call is due again, so that each is received at
// least once. Clocks are PostgreSQL's.
//
// Knows: SQL. Does not know: HTTP, signatures, which addresses are configured.

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

/** longer than an attempt may take */
const TAKEN_S = 60
/** whoever is away longer has more to repair than what we could tell */
const GIVEN_UP_AFTER = '3 days'

export async function insertDelivery(
  transaction: Queryable,
  { id, eventId, url, payload }: Omit<Delivery, 'attempts'>,
): Promise<void> {
  await transaction.query(
    'INSERT INTO webhook_deliveries (id, event_id, url, payload) VALUES ($1, $2, $3, $4)',
    [id, eventId, url, payload],
  )
}

/** Those that are due, oldest first; nobody else gets them for a while. */
export async function takeDeliveries(
  db: Queryable,
  urls: readonly string[],
  limit: number,
): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = now() + make_interval(secs => ${TAKEN_S})
     WHERE id IN (
       SELECT id FROM webhook_deliveries WHERE next_at <= now() AND url = ANY($1)
       ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
     )
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

export async function deliveryFailed(
  db: Queryable,
  { id, error, retryMs }: { id: string; error: string; retryMs: number },
): Promise<void> {
  await db.query(
    `UPDATE webhook_deliveries SET last_error = $2, next_at = CASE
       WHEN created_at > now() - interval '${GIVEN_UP_AFTER}' THEN now() + make_interval(secs => $3)
     END WHERE id = $1`,
    [id, error, retryMs / 1000],
  )
}
