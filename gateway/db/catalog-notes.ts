// The table of notes: what was written of a model, or of one of its versions.
//
// Words are taken from a note as it is written, by the text search configuration of that moment; where that has been set to
// another one since, a note's words are taken anew when it is looked at.
//
// Knows: SQL. Does not know: HTTP, who may read it.

import { paged } from './page.ts'
import { NO_WORDS } from './exchange-words.ts'
import { isUuid } from './uuid.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export const NOTE_KINDS = [
  'development_note',
  'training_log',
  'validation_result',
  'change_log',
  'incident',
  'decision',
  'other',
] as const
export type NoteKind = (typeof NOTE_KINDS)[number]

export interface Note {
  id: string
  model: string
  /** `model@number`; null: of the model as a whole */
  version: string | null
  kind: NoteKind
  /** '' where it has none */
  title: string
  /** Markdown */
  text: string
  author: string
  createdAt: Date
  updatedAt: Date
}

export interface NoteFilter {
  model?: string
  /** `model@number`, or null for those of no version; undefined: all */
  version?: string | null
  kind?: NoteKind
}

export interface NoteHit {
  note: Note
  rank: number
  /** pieces of the text, with what was searched for between « and » */
  highlight: string
}

const COLUMNS = `id, model, version, kind, title, text, author, created_at AS "createdAt", updated_at AS "updatedAt"`
const WORDS = (language: string, title: string, text: string) =>
  `setweight(to_tsvector(${language}::text::regconfig, ${title}), 'A') || setweight(to_tsvector(${language}::text::regconfig, ${text}), 'B')`
const MATCHES = `
  ($1::text IS NULL OR model = $1)
  AND ($2::text IS NULL OR version = $2)
  AND (NOT $3::boolean OR version IS NULL)
  AND ($4::text IS NULL OR kind = $4)`
/** Texts are unpacked for the page alone, and from their beginnings. */
const MAX_HEADLINE_CHARACTERS = 20_000
const HEADLINE =
  'StartSel=«, StopSel=», MaxFragments=2, MaxWords=24, MinWords=8, FragmentDelimiter=" … "'

/** Where exchanges aren't searched notes are, word by word. */
const languageOf = (language: string) => (language === NO_WORDS ? 'simple' : language)

export async function insertNote(db: Queryable, note: Note, language: string): Promise<void> {
  await db.query(
    `INSERT INTO catalog_notes
       (id, model, version, kind, title, text, author, created_at, updated_at, language, words)
     VALUES ($1, $2, $3, $4, $5::text, $6::text, $7, $8, $9, $10::text, ${WORDS('$10', '$5', '$6')})`,
    [
      note.id,
      note.model,
      note.version,
      note.kind,
      note.title,
      note.text,
      note.author,
      note.createdAt,
      note.updatedAt,
      languageOf(language),
    ],
  )
}

export async function updateNote(
  db: Queryable,
  { id, kind, title, text, updatedAt }: Note,
  language: string,
): Promise<void> {
  await db.query(
    `UPDATE catalog_notes SET kind = $2, title = $3::text, text = $4::text, updated_at = $5, language = $6::text,
       words = ${WORDS('$6', '$3', '$4')}
     WHERE id = $1`,
    [id, kind, title, text, updatedAt, languageOf(language)],
  )
}

/** With its attachments. */
export async function deleteNote(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM catalog_notes WHERE id = $1', [id])
}

export async function findNote(db: Queryable, id: string): Promise<Note | null> {
  if (!isUuid(id)) return null
  const { rows } = await db.query<Note>(`SELECT ${COLUMNS} FROM catalog_notes WHERE id = $1`, [id])
  return rows[0] ?? null
}

/** As findNote, and nobody else changes it before the transaction ends. */
export async function lockNote(transaction: Queryable, id: string): Promise<Note | null> {
  if (!isUuid(id)) return null
  const { rows } = await transaction.query<Note>(
    `SELECT ${COLUMNS} FROM catalog_notes WHERE id = $1 FOR UPDATE`,
    [id],
  )
  return rows[0] ?? null
}

/** Newest first. */
export async function listNotes(
  db: Queryable,
  filter: NoteFilter,
  page: Page,
): Promise<Paged<Note>> {
  const { rows } = await db.query<Note>(
    `SELECT ${COLUMNS} FROM catalog_notes
     WHERE ${MATCHES} AND ($5::uuid IS NULL OR id < $5)
     ORDER BY id DESC LIMIT $6`,
    [...valuesOf(filter), page.after, page.limit + 1],
  )
  return paged(rows, page)
}

/** Best first, then newest. @param text as websearch_to_tsquery() reads it: words, "a phrase", or, -not */
export async function searchNotes(
  db: Queryable,
  filter: NoteFilter,
  { text, language, limit, offset }: SearchedNotes,
): Promise<{ hits: NoteHit[]; hasMore: boolean }> {
  const { rows } = await db.query<Note & { rank: number; highlight: string }>(
    `WITH query AS (SELECT websearch_to_tsquery($5::text::regconfig, $6) AS query),
     found AS (
       SELECT id, ts_rank(words, query) AS rank FROM catalog_notes, query
       WHERE ${MATCHES} AND language = $5::text AND words @@ query
       UNION ALL
       SELECT id, ts_rank(${WORDS('$5', 'title', 'text')}, query) FROM catalog_notes, query
       WHERE ${MATCHES} AND language <> $5::text AND (${WORDS('$5', 'title', 'text')}) @@ query
     ),
     page AS (SELECT id, rank FROM found ORDER BY rank DESC, id DESC LIMIT $7 OFFSET $8)
     SELECT ${COLUMNS}, rank,
       ts_headline($5::text::regconfig, left(text, ${MAX_HEADLINE_CHARACTERS}), query, '${HEADLINE}') AS highlight
     FROM page JOIN catalog_notes USING (id), query
     ORDER BY rank DESC, id DESC`,
    [...valuesOf(filter), languageOf(language), text, limit + 1, offset],
  )
  const hits = rows
    .slice(0, limit)
    .map(({ rank, highlight, ...note }) => ({ note, rank, highlight }))
  return { hits, hasMore: rows.length > limit }
}

export interface SearchedNotes {
  text: string
  /** of PostgreSQL's text search configurations */
  language: string
  limit: number
  offset: number
}

const valuesOf = ({ model, version, kind }: NoteFilter) => [
  model,
  version ?? undefined,
  version === null,
  kind,
]
