// The table of responses: kept, found by their owner, continued, deleted, and gone when their time has come.
//
// Times are the caller's. Whatever has expired is not there, whether it was swept or not.
//
// Knows: SQL. Does not know: what is in a response.

import type { Queryable } from './pool.ts'

/** JSON texts, as they are sent and read. */
export interface StoredResponse {
  /** UUID, with or without hyphens */
  id: string
  owner: string
  previousId: string | null
  /** all of the response but its output */
  head: string
  input: string
  output: string
  createdAt: Date
  expiresAt: Date
}

/** What of a response its continuation needs. */
export interface ChainLink {
  id: string
  previousId: string | null
  /** null where only the link was read: what came before it is too much */
  input: string | null
  output: string | null
}

export interface Renewal {
  /** of the responses that the new one continues */
  ids: string[]
  /** those that would expire before */
  before: Date
}

/** One statement: a response is there with all that it continues, or not at all. */
export async function insertResponse(
  db: Queryable,
  response: StoredResponse,
  renewal: Renewal,
): Promise<void> {
  const { id, owner, previousId, head, input, output, createdAt, expiresAt } = response
  await db.query(
    `WITH renewed AS (
       UPDATE responses SET expires_at = $9 WHERE id = ANY($10::uuid[]) AND expires_at < $11
     )
     INSERT INTO responses (id, owner, previous_id, head, input, output, bytes, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      id,
      owner,
      previousId,
      head,
      input,
      output,
      Buffer.byteLength(input) + Buffer.byteLength(output),
      createdAt,
      expiresAt,
      renewal.ids,
      renewal.before,
    ],
  )
}

export async function findResponse(
  db: Queryable,
  id: string,
  owner: string,
  now: Date,
): Promise<Pick<StoredResponse, 'head' | 'input' | 'output'> | null> {
  const { rows } = await db.query<Pick<StoredResponse, 'head' | 'input' | 'output'>>(
    `SELECT head::text, input::text, output::text FROM responses
     WHERE id = $1 AND owner = $2 AND expires_at > $3`,
    [id, owner, now],
  )
  return rows[0] ?? null
}

/** In any order; those that are not there are left out. */
export async function findResponseItems(
  db: Queryable,
  ids: string[],
  owner: string,
  now: Date,
): Promise<Pick<StoredResponse, 'id' | 'input' | 'output'>[]> {
  const { rows } = await db.query<Pick<StoredResponse, 'id' | 'input' | 'output'>>(
    `SELECT id, input::text, output::text FROM responses
     WHERE id = ANY($1::uuid[]) AND owner = $2 AND expires_at > $3`,
    [ids, owner, now],
  )
  return rows
}

/**
 * A response and those that it continues, newest first, until there is no earlier one, the earlier one is not there, or
 * it would be more than `maxLinks` or `maxBytes`; then a last link has no texts.
 */
export async function readChain(
  db: Queryable,
  id: string,
  owner: string,
  now: Date,
  bounds: { maxLinks: number; maxBytes: number },
): Promise<ChainLink[]> {
  const { rows } = await db.query<ChainLink>(
    `WITH RECURSIVE chain AS (
       SELECT id, previous_id, 1 AS links, bytes::bigint AS bytes FROM responses
       WHERE id = $1 AND owner = $2 AND expires_at > $3
       UNION ALL
       SELECT earlier.id, earlier.previous_id, chain.links + 1, chain.bytes + earlier.bytes
       FROM chain JOIN responses earlier ON earlier.id = chain.previous_id
       WHERE earlier.owner = $2 AND earlier.expires_at > $3
         AND chain.links <= $4 AND chain.bytes <= $5
     )
     SELECT chain.id, chain.previous_id AS "previousId",
       CASE WHEN chain.links <= $4 AND chain.bytes <= $5 THEN input::text END AS input,
       CASE WHEN chain.links <= $4 AND chain.bytes <= $5 THEN output::text END AS output
     FROM chain JOIN responses USING (id) ORDER BY chain.links`,
    [id, owner, now, bounds.maxLinks, bounds.maxBytes],
  )
  return rows
}

/** @returns whether it was there */
export async function deleteResponse(
  db: Queryable,
  id: string,
  owner: string,
  now: Date,
): Promise<boolean> {
  const { rowCount } = await db.query(
    'DELETE FROM responses WHERE id = $1 AND owner = $2 AND expires_at > $3',
    [id, owner, now],
  )
  return rowCount === 1
}

/** @returns how many there were; fewer than `limit` when nothing is left */
export async function deleteExpiredResponses(
  db: Queryable,
  now: Date,
  limit: number,
): Promise<number> {
  // Servers that sweep at the same time take different rows, and none waits for another.
  const { rowCount } = await db.query(
    `DELETE FROM responses WHERE id IN (
       SELECT id FROM responses WHERE expires_at <= $1
       ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
     )`,
    [now, limit],
  )
  return rowCount ?? 0
}
