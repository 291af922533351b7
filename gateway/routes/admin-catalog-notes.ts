// Notes of the catalog: written, listed, searched. Developers may read them, admins write them.

import { Type } from 'typebox'

import { changeNote, getNote, removeNote, writeNote } from '../catalog/notes.ts'
import { getCatalogModel } from '../catalog/models.ts'
import { listAttachments } from '../db/catalog-attachments.ts'
import { listNotes, searchNotes } from '../db/catalog-notes.ts'
import {
  NOTE_SEARCH_QUERY,
  NoteBody,
  noteBody,
  NoteDraft,
  NoteHitBody,
  noteHitBody,
  NotePatch,
  NOTES_QUERY,
  readNoteFilter,
} from '../dialects/admin/catalog-note.ts'
import { listBody, listOf, readPage } from '../dialects/admin/page.ts'
import { IdParam, ModelParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { NoteDeps } from '../catalog/notes.ts'
import type { Note } from '../db/catalog-notes.ts'
import type { App } from '../request.ts'

const tags = ['catalog']
const security = [{ key: [] }]
const ofModel = Type.Object({ model: ModelParam })
const ofNote = Type.Object({ note: IdParam })

export function adminCatalogNoteRoutes(app: App, deps: NoteDeps) {
  const { pool, language } = deps
  const admin = requireRole('admin')
  const developer = requireRole('developer')
  const withAttachments = async (note: Note) => {
    return noteBody(note, await listAttachments(pool, [note.id]))
  }

  app.post(
    '/admin/catalog/models/:model/notes',
    {
      onRequest: admin,
      schema: {
        operationId: 'createCatalogNote',
        summary: 'Write a note of a model, or of one of its versions',
        tags,
        security,
        params: ofModel,
        body: NoteDraft,
        response: { 201: NoteBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { model } = request.params
      const note = await writeNote(deps, actorOf(request), model, request.body)
      return reply.code(201).send(noteBody(note, []))
    },
  )

  app.get(
    '/admin/catalog/models/:model/notes',
    {
      onRequest: developer,
      schema: {
        operationId: 'listCatalogNotes',
        summary: 'List the notes of a model, newest first',
        tags,
        security,
        params: ofModel,
        querystring: NOTES_QUERY,
        response: { 200: listOf(NoteBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { name: model } = await getCatalogModel(pool, request.params.model)
      const filter = readNoteFilter({ ...request.query, model })
      const page = await listNotes(pool, filter, readPage(request.query))
      const attachments = await listAttachments(
        pool,
        page.rows.map(({ id }) => id),
      )
      return listBody(page, (note) => noteBody(note, attachments))
    },
  )

  app.get(
    '/admin/catalog/notes/search',
    {
      onRequest: developer,
      schema: {
        operationId: 'searchCatalogNotes',
        summary: 'Search notes, best first',
        tags,
        security,
        querystring: NOTE_SEARCH_QUERY,
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(NoteHitBody),
            has_more: Type.Boolean(),
          }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const { q: text, limit, offset, model, version } = request.query
      if (version !== undefined && version !== 'none' && model === undefined) {
        throw new GatewayError('invalid_value', "'version' needs 'model' beside it.", {
          param: 'version',
        })
      }
      const { hits, hasMore } = await searchNotes(pool, readNoteFilter(request.query), {
        text,
        language,
        limit: readPage({ limit }).limit,
        offset: Number(offset ?? 0),
      })
      const attachments = await listAttachments(
        pool,
        hits.map(({ note }) => note.id),
      )
      const data = hits.map((hit) => noteHitBody(hit, attachments))
      return { object: 'list' as const, data, has_more: hasMore }
    },
  )

  app.get(
    '/admin/catalog/notes/:note',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveCatalogNote',
        summary: 'Give one note',
        tags,
        security,
        params: ofNote,
        response: { 200: NoteBody, default: ErrorBody },
      },
    },
    async (request) => withAttachments(await getNote(pool, request.params.note)),
  )

  app.patch(
    '/admin/catalog/notes/:note',
    {
      onRequest: admin,
      schema: {
        operationId: 'updateCatalogNote',
        summary: 'Change a note; what is not named stays as it is',
        tags,
        security,
        params: ofNote,
        body: NotePatch,
        response: { 200: NoteBody, default: ErrorBody },
      },
    },
    async (request) =>
      withAttachments(await changeNote(deps, actorOf(request), request.params.note, request.body)),
  )

  app.delete(
    '/admin/catalog/notes/:note',
    {
      onRequest: admin,
      schema: {
        operationId: 'deleteCatalogNote',
        summary: 'Delete a note with its attachments',
        tags,
        security,
        params: ofNote,
        response: {
          200: Type.Object({ id: Type.String(), deleted: Type.Literal(true) }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const { note: id } = request.params
      await removeNote(deps, actorOf(request), id)
      return { id, deleted: true as const }
    },
  )
}
