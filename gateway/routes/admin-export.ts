// GET /admin/export: exchanges as a file, as long as it may be.
//
// What can go wrong before the first bytes is a status. After them the connection breaks, so that half of a file never
// looks like a whole one; the end is told in trailers.

import { Readable } from 'node:stream'

import { Type } from 'typebox'

import { byAnyName } from '../administration/end-users.ts'
import { connectionOf } from '../db/pool.ts'
import { FILTER_QUERY, readFilter } from '../dialects/admin/exchange-query.ts'
import { flag } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { recordExportOfTexts } from '../export/audit.ts'
import { CONTENT_TYPES, FORMATS } from '../export/format.ts'
import { exportInThread } from '../export/thread.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { ExportEnd, Format } from '../export/format.ts'
import type { Pool } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'
import type { App } from '../request.ts'

/** Each is a thread and a connection, and PostgreSQL has other work. */
const MAX_AT_ONCE = 2

const EXPORT_QUERY = {
  format: Type.Optional(
    Type.Unsafe<Format>({ type: 'string', enum: [...FORMATS], description: 'Without it jsonl.' }),
  ),
  after: Type.Optional(
    Type.String({
      format: 'uuid',
      title: 'the id of an exchange',
      description:
        'Goes on behind this id: the last one that arrived whole. CSV has no line of names then.',
    }),
  ),
  limit: Type.Optional(
    Type.String({
      pattern: '^[1-9]\\d{0,8}$',
      title: 'a whole number from 1 to 999999999',
      description: 'Exchanges at most; without it all.',
    }),
  ),
  bodies: flag('With prompts, answers, tool calls and parameters; the audit log says so.'),
  formulas: Type.Optional(
    Type.Unsafe<'escape' | 'keep'>({
      type: 'string',
      enum: ['escape', 'keep'],
      description:
        "CSV: texts that a spreadsheet takes for a formula get a ' in front of them, unless they are to be kept.",
    }),
  ),
}

const File = Type.String({
  description:
    'Trailers: x-headrace-rows, x-headrace-last-id, x-headrace-has-more. Parquet says the same in its metadata.',
})

export function adminExportRoutes(
  app: App,
  { pool, pseudonyms }: { pool: Pool; pseudonyms: Pseudonyms },
) {
  let running = 0
  app.get(
    '/admin/export',
    {
      onRequest: requireRole('admin'),
      schema: {
        operationId: 'exportExchanges',
        summary: 'Give exchanges as a file, oldest first',
        tags: ['exchanges'],
        security: [{ key: [] }],
        querystring: Type.Object({ ...EXPORT_QUERY, ...FILTER_QUERY }),
        response: {
          200: {
            description: 'Exchanges',
            content: Object.fromEntries(
              FORMATS.map((format) => [CONTENT_TYPES[format].split(';')[0], { schema: File }]),
            ),
          },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const { format = 'jsonl', after = null, limit, bodies, formulas, ...asked } = request.query
      const filter = readFilter(asked)
      const exported = {
        format,
        filter: byAnyName(filter, pseudonyms),
        after,
        limit: limit === undefined ? null : Number(limit),
        withBodies: bodies === 'true',
        keepFormulas: formulas === 'keep',
      }
      if (running >= MAX_AT_ONCE) {
        throw new GatewayError(
          'overloaded',
          `${MAX_AT_ONCE} exports run already, as many as may at once. Try again when one has ended.`,
        )
      }
      running++
      const left = new AbortController()
      const onClose = () => {
        running--
        left.abort()
      }
      // Whoever left before this line closes nothing any more.
      if (reply.raw.destroyed) onClose()
      else reply.raw.once('close', onClose)
      if (exported.withBodies) {
        const told = { ...exported, filter: asked }
        await recordExportOfTexts(pool, actorOf(request), told, pseudonyms)
      }

      const pieces = exportInThread(connectionOf(pool), exported, left.signal)
      let end: ExportEnd = { rows: 0, lastId: null, hasMore: false }
      const first = await pieces.next()
      async function* bytes() {
        for (let piece = first; ; piece = await pieces.next()) {
          if (piece.done) {
            end = piece.value
            return
          }
          yield piece.value
        }
      }
      reply
        .type(CONTENT_TYPES[format])
        .header('content-disposition', `attachment; filename="exchanges.${format}"`)
        .trailer('x-headrace-rows', () => Promise.resolve(String(end.rows)))
        .trailer('x-headrace-last-id', () => Promise.resolve(end.lastId ?? ''))
        .trailer('x-headrace-has-more', () => Promise.resolve(String(end.hasMore)))
      return reply.send(Readable.from(bytes(), { objectMode: false }))
    },
  )
}
