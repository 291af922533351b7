// Notes and their attachments in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { NOTE_KINDS } from '../../db/catalog-notes.ts'
import { MAX_TEXT_CHARACTERS, NullableText } from './catalog-fields.ts'
import { Time } from './fields.ts'
import { PAGE_QUERY } from './page.ts'
import type { Attachment } from '../../db/catalog-attachments.ts'
import type { Note, NoteFilter, NoteHit, NoteKind } from '../../db/catalog-notes.ts'

const Kind = Type.Unsafe<NoteKind>({ type: 'string', enum: [...NOTE_KINDS] })
const Title = Type.String({
  maxLength: 256,
  pattern: '^[^\\p{Cc}]*$',
  title: 'one line of at most 256 characters',
})
const Text = Type.String({
  minLength: 1,
  maxLength: MAX_TEXT_CHARACTERS,
  description: 'Markdown.',
})
const Number_ = Type.Integer({ minimum: 1, description: 'Of the version that it is about.' })

export const NoteDraft = Type.Object(
  {
    version: Type.Optional(Number_),
    kind: Kind,
    title: Type.Optional(Title),
    text: Text,
  },
  { additionalProperties: false },
)
export type NoteDraft = Static<typeof NoteDraft>

export const NotePatch = Type.Object(
  { kind: Type.Optional(Kind), title: Type.Optional(Title), text: Type.Optional(Text) },
  { additionalProperties: false },
)
export type NotePatch = Static<typeof NotePatch>

export const AttachmentBody = Type.Object({
  object: Type.Literal('catalog.attachment'),
  id: Type.String(),
  note: Type.String(),
  name: Type.String(),
  content_type: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String(),
  author: Type.String(),
  created_at: Time,
})

export function attachmentBody(attachment: Attachment): Static<typeof AttachmentBody> {
  const { id, noteId, name, contentType, bytes, sha256, author, createdAt } = attachment
  return {
    object: 'catalog.attachment',
    id,
    note: noteId,
    name,
    content_type: contentType,
    bytes,
    sha256,
    author,
    created_at: createdAt.toISOString(),
  }
}

export const NoteBody = Type.Object({
  object: Type.Literal('catalog.note'),
  id: Type.String(),
  model: Type.String(),
  version: NullableText,
  kind: Kind,
  title: Type.String(),
  text: Type.String(),
  author: Type.String(),
  created_at: Time,
  updated_at: Time,
  attachments: Type.Array(AttachmentBody),
})

export function noteBody(
  { createdAt, updatedAt, ...note }: Note,
  attachments: readonly Attachment[],
): Static<typeof NoteBody> {
  return {
    object: 'catalog.note',
    ...note,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    attachments: attachments.filter(({ noteId }) => noteId === note.id).map(attachmentBody),
  }
}

export const NoteHitBody = Type.Object({
  object: Type.Literal('catalog.note_hit'),
  id: Type.String(),
  rank: Type.Number(),
  highlight: Type.String({
    description: 'Pieces of the text; what was searched for stands between « and ».',
  }),
  note: NoteBody,
})

export function noteHitBody(
  { note, rank, highlight }: NoteHit,
  attachments: readonly Attachment[],
): Static<typeof NoteHitBody> {
  const { id } = note
  return { object: 'catalog.note_hit', id, rank, highlight, note: noteBody(note, attachments) }
}

const name = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, pattern: '^[^\\0]*$', description }))

const KIND_AND_VERSION = {
  version: Type.Optional(
    Type.String({
      pattern: '^([1-9]\\d{0,8}|none)$',
      title: "the number of a version, or 'none'",
      description: 'Only those of this version; none: those of no version.',
    }),
  ),
  kind: Type.Optional(Kind),
}

export const NOTES_QUERY = Type.Object(
  { ...PAGE_QUERY, ...KIND_AND_VERSION },
  { additionalProperties: false },
)

export const NOTE_SEARCH_QUERY = Type.Object(
  {
    q: Type.String({
      minLength: 1,
      maxLength: 1_000,
      pattern: '^[^\\0]*$',
      description: 'Words, "a phrase", or, -not.',
    }),
    model: name('Only those of this model.'),
    ...KIND_AND_VERSION,
    limit: PAGE_QUERY.limit,
    offset: Type.Optional(
      Type.String({
        pattern: '^\\d{1,6}$',
        title: 'a whole number',
        description: 'Hits to leave out, as they were on the pages before.',
      }),
    ),
  },
  { additionalProperties: false },
)

export function readNoteFilter(query: {
  model?: string
  version?: string
  kind?: NoteKind
}): NoteFilter {
  const { model, version, kind } = query
  return {
    model,
    kind,
    version:
      version === undefined ? undefined : version === 'none' ? null : `${model ?? ''}@${version}`,
  }
}
