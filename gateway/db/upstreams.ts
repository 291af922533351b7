// The table of upstreams that were declared by the admin API.
//
// Knows: SQL. Does not know: how secrets are sealed, what a declaration says.

import type { Queryable } from './pool.ts'

export interface StoredUpstream {
  name: string
  /** without key and headers */
  declaration: unknown
  /** sealed */
  secret: string | null
  hints: SecretHints
  createdAt: Date
  updatedAt: Date
}

/** What may be shown of an upstream's secrets. */
export interface SecretHints {
  key?: string
  headers?: Record<string, string>
}

const COLUMNS = `name, declaration, secret, hints, created_at AS "createdAt", updated_at AS "updatedAt"`

export async function listUpstreams(db: Queryable): Promise<StoredUpstream[]> {
  const { rows } = await db.query<StoredUpstream>(`SELECT ${COLUMNS} FROM upstreams ORDER BY name`)
  return rows
}

export async function findUpstream(db: Queryable, name: string): Promise<StoredUpstream | null> {
  const { rows } = await db.query<StoredUpstream>(
    `SELECT ${COLUMNS} FROM upstreams WHERE name = $1`,
    [name],
  )
  return rows[0] ?? null
}

export async function upsertUpstream(
  db: Queryable,
  { name, declaration, secret, hints, createdAt, updatedAt }: StoredUpstream,
): Promise<void> {
  await db.query(
    `INSERT INTO upstreams (name, declaration, secret, hints, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (name) DO UPDATE
     SET declaration = $2, secret = $3, hints = $4, updated_at = $6`,
    [name, JSON.stringify(declaration), secret, JSON.stringify(hints), createdAt, updatedAt],
  )
}

export async function deleteUpstream(db: Queryable, name: string): Promise<void> {
  await db.query('DELETE FROM upstreams WHERE name = $1', [name])
}
