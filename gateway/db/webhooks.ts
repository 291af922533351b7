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
  createdAt: Date
}

const COLUMNS = 'id, url, secret, hint, created_at AS "createdAt"'

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

/** @returns false: the address is there already */
export async function insertWebhook(
  db: Queryable,
  { id, url, secret, hint, createdAt }: StoredWebhook,
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
