// The table of addresses that are told of deployments, of those that the admin API was given.
//
// Knows: SQL. Does not know: how secrets are sealed, what is sent.

import type { Queryable } from './pool.ts'

export interface StoredWebhook {
  id: string
  url: string
  /** sealed */
  secret: string
  /** what may be shown of it */
  hint: string
  /** the one before it, sealed; calls are signed with it too until then */
  previousSecret: string | null
  previousUntil: Date | null
  createdAt: Date
}

const COLUMNS = `id, url, secret, hint, previous_secret AS "previousSecret", previous_until AS "previousUntil",
  created_at AS "createdAt"`

/** Oldest first. */
export async function listWebhooks(db: Queryable): Promise<StoredWebhook[]> {
  const { rows } = await db.query<StoredWebhook>(`SELECT ${COLUMNS} FROM webhooks ORDER BY id`)
  return rows
}

export async function findWebhook(db: Queryable, id: string): Promise<StoredWebhook | null> {
  const { rows } = await db.query<StoredWebhook>(`SELECT ${COLUMNS} FROM webhooks WHERE id = $1`, [
    id,
  ])
  return rows[0] ?? null
}

/** As findWebhook, and nobody else changes it before the transaction ends. */
export async function lockWebhook(
  transaction: Queryable,
  id: string,
): Promise<StoredWebhook | null> {
  const { rows } = await transaction.query<StoredWebhook>(
    `SELECT ${COLUMNS} FROM webhooks WHERE id = $1 FOR UPDATE`,
    [id],
  )
  return rows[0] ?? null
}

/** @returns false: the address is there already */
export async function insertWebhook(
  db: Queryable,
  { id, url, secret, hint, createdAt }: Omit<StoredWebhook, 'previousSecret' | 'previousUntil'>,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO webhooks (id, url, secret, hint, created_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (url) DO NOTHING`,
    [id, url, secret, hint, createdAt],
  )
  return rowCount === 1
}

/** @returns it, as it was; null where there is none */
export async function deleteWebhook(db: Queryable, id: string): Promise<StoredWebhook | null> {
  const { rows } = await db.query<StoredWebhook>(
    `DELETE FROM webhooks WHERE id = $1 RETURNING ${COLUMNS}`,
    [id],
  )
  return rows[0] ?? null
}

export async function updateWebhookSecrets(
  db: Queryable,
  { id, secret, hint, previousSecret, previousUntil }: StoredWebhook,
): Promise<void> {
  await db.query(
    'UPDATE webhooks SET secret = $2, hint = $3, previous_secret = $4, previous_until = $5 WHERE id = $1',
    [id, secret, hint, previousSecret, previousUntil],
  )
}

/** Those that nothing is signed with any more. */
export async function forgetPreviousSecrets(db: Queryable): Promise<void> {
  await db.query(
    'UPDATE webhooks SET previous_secret = NULL, previous_until = NULL WHERE previous_until < now()',
  )
}
