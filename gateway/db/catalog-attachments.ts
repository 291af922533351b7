// The tables of attachments: files that belong to a note. What they hold lies apart, and is read in pieces.
//
// Knows: SQL. Does not know: what is in a file.

import { isUuid } from './uuid.ts'
import type { Queryable } from './pool.ts'

export interface Attachment {
  id: string
  noteId: string
  name: string
  contentType: string
  bytes: number
  sha256: string
  author: string
  createdAt: Date
}

const COLUMNS = `id, note_id AS "noteId", name, content_type AS "contentType", bytes, sha256, author,
  created_at AS "createdAt"`
/** A download holds that much, whoever reads it slowly. */
const PIECE_BYTES = 256 * 1024

export async function insertAttachment(
  transaction: Queryable,
  { id, noteId, name, contentType, bytes, sha256, author, createdAt }: Attachment,
  content: Buffer,
): Promise<void> {
  await transaction.query(
    `INSERT INTO catalog_attachments (id, note_id, name, content_type, bytes, sha256, author, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [id, noteId, name, contentType, bytes, sha256, author, createdAt],
  )
  await transaction.query(
    'INSERT INTO catalog_attachment_contents (attachment_id, content) VALUES ($1, $2)',
    [id, content],
  )
}

export async function deleteAttachment(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM catalog_attachments WHERE id = $1', [id])
}

export async function findAttachment(db: Queryable, id: string): Promise<Attachment | null> {
  if (!isUuid(id)) return null
  const { rows } = await db.query<Attachment>(
    `SELECT ${COLUMNS} FROM catalog_attachments WHERE id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** In the order in which they came. */
export async function listAttachments(
  db: Queryable,
  noteIds: readonly string[],
): Promise<Attachment[]> {
  if (noteIds.length === 0) return []
  const { rows } = await db.query<Attachment>(
    `SELECT ${COLUMNS} FROM catalog_attachments WHERE note_id = ANY($1::uuid[]) ORDER BY id`,
    [noteIds],
  )
  return rows
}

export async function* readAttachment(
  db: Queryable,
  { id, bytes }: Attachment,
): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes; from += PIECE_BYTES) {
    const { rows } = await db.query<{ piece: Buffer }>(
      'SELECT substring(content FROM $2 FOR $3) AS piece FROM catalog_attachment_contents WHERE attachment_id = $1',
      [id, from + 1, PIECE_BYTES],
    )
    const [row] = rows
    if (!row) throw new Error(`The attachment ${id} was deleted while it was read.`)
    yield row.piece
  }
}
