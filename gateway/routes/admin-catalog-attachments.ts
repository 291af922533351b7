// Attachments of notes: sent as they are, given back as files that no browser opens by itself.

import { Readable } from 'node:stream'

import { Type } from 'typebox'
import type { TSchema } from 'typebox'

import { attach, getAttachment, MAX_ATTACHMENT_BYTES, removeAttachment } from '../catalog/notes.ts'
import { readAttachment } from '../db/catalog-attachments.ts'
import { AttachmentBody, attachmentBody } from '../dialects/admin/catalog-note.ts'
import { IdParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { tellErrors } from '../plugins/errors.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

const tags = ['catalog']
const security = [{ key: [] }]
const params = Type.Object({ attachment: IdParam })
const FILE: Record<string, { schema: TSchema }> = {
  '*/*': { schema: Type.String({ description: 'With the content type that it was sent with.' }) },
}

export function adminCatalogAttachmentRoutes(app: App, { pool }: { pool: Pool }) {
  app.register((files: App, _options, done) => {
    tellErrors(files, { bodyLimitBytes: MAX_ATTACHMENT_BYTES })
    files.removeAllContentTypeParsers()
    const limit = { parseAs: 'buffer', bodyLimit: MAX_ATTACHMENT_BYTES } as const
    files.addContentTypeParser<Buffer>('*', limit, (_request, body, done) => done(null, body))
    uploadRoute(files, pool)
    done()
  })

  app.get(
    '/admin/catalog/attachments/:attachment',
    {
      onRequest: requireRole('developer'),
      schema: {
        operationId: 'retrieveCatalogAttachment',
        summary: 'Give an attachment as a file',
        tags,
        security,
        params,
        response: {
          200: { description: 'The file.', content: FILE },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const attachment = await getAttachment(pool, request.params.attachment)
      const pieces = Readable.from(readAttachment(pool, attachment), { objectMode: false })
      return reply
        .type(attachment.contentType)
        .headers({
          'content-length': attachment.bytes,
          'content-disposition': disposition(attachment.name),
          // Somebody else's file is shown nowhere under this server's name.
          'x-content-type-options': 'nosniff',
          'content-security-policy': "default-src 'none'; sandbox",
          'cross-origin-resource-policy': 'same-origin',
          etag: `"${attachment.sha256}"`,
        })
        .send(pieces)
    },
  )

  app.delete(
    '/admin/catalog/attachments/:attachment',
    {
      onRequest: requireRole('admin'),
      schema: {
        operationId: 'deleteCatalogAttachment',
        summary: 'Delete an attachment',
        tags,
        security,
        params,
        response: {
          200: Type.Object({ id: Type.String(), deleted: Type.Literal(true) }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const { attachment: id } = request.params
      await removeAttachment(pool, actorOf(request), id)
      return { id, deleted: true as const }
    },
  )
}

function uploadRoute(app: App, pool: Pool) {
  app.post(
    '/admin/catalog/notes/:note/attachments',
    {
      onRequest: requireRole('admin'),
      bodyLimit: MAX_ATTACHMENT_BYTES,
      schema: {
        operationId: 'createCatalogAttachment',
        summary: 'Attach a file to a note: its bytes are the body',
        description: `At most ${MAX_ATTACHMENT_BYTES} bytes, of any content type.`,
        tags,
        security,
        // Whatever the type is; this one is for the page, which has to name one.
        body: { content: { 'application/octet-stream': { schema: Type.Unknown() } } },
        params: Type.Object({ note: IdParam }),
        querystring: Type.Object(
          { name: Type.String({ minLength: 1, description: 'Of the file.' }) },
          { additionalProperties: false },
        ),
        response: { 201: AttachmentBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const body: unknown = request.body
      const content = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
      const { name } = request.query
      const contentType = request.headers['content-type'] ?? ''
      const { note } = request.params
      const attachment = await attach(pool, actorOf(request), note, { name, contentType, content })
      return reply.code(201).send(attachmentBody(attachment))
    },
  )
}

/** RFC 6266: the whole name, and one in ASCII for those who know no better. */
function disposition(name: string): string {
  const plain = name.replaceAll(/[^\w.() -]/g, '_')
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
