// Changes of notes and their attachments: each is one transaction with its row of the audit log.
//
// Knows: what may be written, and of what. Does not know: HTTP, the command line, who may write it.

import { createHash, randomUUIDv7 } from 'node:crypto'

import { recordChange } from '../db/audit.ts'
import {
  deleteAttachment,
  findAttachment,
  insertAttachment,
  listAttachments,
} from '../db/catalog-attachments.ts'
import { findVersion } from '../db/catalog-versions.ts'
import { deleteNote, findNote, insertNote, lockNote, updateNote } from '../db/catalog-notes.ts'
import { inTransaction } from '../db/transaction.ts'
import { attachmentBody, noteBody } from '../dialects/admin/catalog-note.ts'
import { storable } from '../dialects/admin/feedback.ts'
import { GatewayError } from '../errors.ts'
import { getCatalogModel } from './models.ts'
import { noVersion } from './versions.ts'
import type { Actor } from '../db/audit.ts'
import type { Attachment } from '../db/catalog-attachments.ts'
import type { Note } from '../db/catalog-notes.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { NoteDraft, NotePatch } from '../dialects/admin/catalog-note.ts'

export interface NoteDeps {
  pool: Pool
  /** PostgreSQL's text search configuration */
  language: string
}

export const MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024
const MAX_ATTACHMENTS = 50
const MAX_FILE_NAME_CHARACTERS = 255
const CONTENT_TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}(; ?charset=[\w-]{1,32})?$/

/** @throws GatewayError `model_not_in_catalog`, `version_not_found` */
export async function writeNote(
  { pool, language }: NoteDeps,
  actor: Actor,
  model: string,
  { version, kind, title = '', text }: NoteDraft,
): Promise<Note> {
  await getCatalogModel(pool, model)
  const versionId = version === undefined ? null : `${model}@${version}`
  if (versionId !== null && !(await findVersion(pool, versionId))) throw noVersion(versionId)
  const now = new Date()
  const note: Note = {
    id: randomUUIDv7(),
    model,
    version: versionId,
    kind,
    title: storable(title),
    text: storable(text),
    author: actor.name,
    createdAt: now,
    updatedAt: now,
  }
  await inTransaction(pool, async (transaction) => {
    await insertNote(transaction, note, language)
    await recordNote(transaction, actor, 'create', null, note)
  })
  return note
}

/** @throws GatewayError `note_not_found` */
export async function changeNote(
  { pool, language }: NoteDeps,
  actor: Actor,
  id: string,
  { kind, title, text }: NotePatch,
): Promise<Note> {
  return inTransaction(pool, async (transaction) => {
    const before = await lockNote(transaction, id)
    if (!before) throw noNote(id)
    const after: Note = {
      ...before,
      kind: kind ?? before.kind,
      title: storable(title ?? before.title),
      text: storable(text ?? before.text),
      updatedAt: new Date(),
    }
    await updateNote(transaction, after, language)
    await recordNote(transaction, actor, 'update', before, after)
    return after
  })
}

/** With its attachments. @throws GatewayError `note_not_found` */
export async function removeNote({ pool }: NoteDeps, actor: Actor, id: string): Promise<void> {
  await inTransaction(pool, async (transaction) => {
    const before = await lockNote(transaction, id)
    if (!before) throw noNote(id)
    await deleteNote(transaction, id)
    await recordNote(transaction, actor, 'delete', before, null)
  })
}

/** @throws GatewayError `note_not_found` */
export async function getNote(db: Queryable, id: string): Promise<Note> {
  const note = await findNote(db, id)
  if (!note) throw noNote(id)
  return note
}

/** @throws GatewayError `note_not_found`, `invalid_value`, `empty_body` */
export async function attach(
  pool: Pool,
  actor: Actor,
  noteId: string,
  { name, contentType, content }: { name: string; contentType: string; content: Buffer },
): Promise<Attachment> {
  refuseContent(content)
  const attachment: Attachment = {
    id: randomUUIDv7(),
    noteId,
    name: checkedFileName(name),
    // What isn't one is sent as what it is: bytes.
    contentType: CONTENT_TYPE.test(contentType) ? contentType : 'application/octet-stream',
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    author: actor.name,
    createdAt: new Date(),
  }
  await inTransaction(pool, async (transaction) => {
    const note = await lockNote(transaction, noteId)
    if (!note) throw noNote(noteId)
    if ((await listAttachments(transaction, [noteId])).length >= MAX_ATTACHMENTS) {
      throw new GatewayError(
        'invalid_value',
        `A note has at most ${MAX_ATTACHMENTS} attachments. Write another one.`,
      )
    }
    await insertAttachment(transaction, attachment, content)
    await recordAttachment(transaction, actor, 'create', null, attachment)
  })
  return attachment
}

/** @throws GatewayError `attachment_not_found` */
export async function removeAttachment(pool: Pool, actor: Actor, id: string): Promise<void> {
  await inTransaction(pool, async (transaction) => {
    const before = await getAttachment(transaction, id)
    await deleteAttachment(transaction, id)
    await recordAttachment(transaction, actor, 'delete', before, null)
  })
}

/** @throws GatewayError `attachment_not_found` */
export async function getAttachment(db: Queryable, id: string): Promise<Attachment> {
  const attachment = await findAttachment(db, id)
  if (attachment) return attachment
  throw new GatewayError('attachment_not_found', `There is no attachment '${id}'.`)
}

function noNote(id: string): GatewayError {
  return new GatewayError('note_not_found', `There is no note '${id}'.`)
}

function refuseContent({ length }: Buffer) {
  if (length === 0) throw new GatewayError('empty_body', 'The attachment is empty.')
  if (length <= MAX_ATTACHMENT_BYTES) return
  throw new GatewayError(
    'body_too_large',
    `An attachment has at most ${MAX_ATTACHMENT_BYTES} bytes; got ${length}.`,
  )
}

function checkedFileName(name: string): string {
  const isName = /^[^\p{Cc}/\\]+$/u.test(name) && !/^\.+$/.test(name)
  if (isName && name.length <= MAX_FILE_NAME_CHARACTERS) return storable(name)
  throw new GatewayError(
    'invalid_value',
    `'name' must be the name of a file: at most ${MAX_FILE_NAME_CHARACTERS} characters, without slashes and control ` +
      `characters; got ${JSON.stringify(name.slice(0, 60))}.`,
    { param: 'name' },
  )
}

async function recordNote(
  transaction: Queryable,
  actor: Actor,
  action: string,
  before: Note | null,
  after: Note | null,
) {
  const note = (after ?? before)!
  await recordChange(transaction, actor, {
    action: `catalog_note.${action}`,
    kind: 'catalog_note',
    id: note.id,
    name: `${note.kind} of ${note.version ?? note.model}`,
    before: before && noteBody(before, []),
    after: after && noteBody(after, []),
  })
}

async function recordAttachment(
  transaction: Queryable,
  actor: Actor,
  action: string,
  before: Attachment | null,
  after: Attachment | null,
) {
  const attachment = (after ?? before)!
  await recordChange(transaction, actor, {
    action: `catalog_attachment.${action}`,
    kind: 'catalog_attachment',
    id: attachment.id,
    name: attachment.name,
    before: before && attachmentBody(before),
    after: after && attachmentBody(after),
  })
}
