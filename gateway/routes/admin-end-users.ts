// /admin/end-users/…: hand out, or erase, what is kept of one end user.

import { Readable } from 'node:stream'

import { Type } from 'typebox'
import type { TSchema } from 'typebox'

import { exportEndUser, forgetEndUser } from '../administration/end-users.ts'
import { ErasedBody, erasedBody } from '../dialects/admin/end-user.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { Privacy } from '../privacy/privacy.ts'
import type { App } from '../request.ts'

export interface AdminEndUserDeps {
  pool: Pool
  privacy: Pick<Privacy, 'pseudonyms'>
}

const tags = ['end users']
const security = [{ key: [] }]
const params = Type.Object({
  end_user: Type.String({ minLength: 1, description: 'As callers name them, encoded for a URL.' }),
})
const querystring = Type.Object(
  {
    project: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Id or name: only its end user of that name. Without it all of that name.',
      }),
    ),
  },
  { additionalProperties: false },
)

const FILE: Record<string, { schema: TSchema }> = {
  'application/jsonl': { schema: Type.String() },
}

export function adminEndUserRoutes(app: App, { pool, privacy }: AdminEndUserDeps) {
  const onRequest = requireRole('admin')

  app.get(
    '/admin/end-users/:end_user/export',
    {
      onRequest,
      schema: {
        operationId: 'exportEndUser',
        summary: 'Give all that is kept of one end user, as lines of JSON',
        tags,
        security,
        params,
        querystring,
        response: {
          200: {
            description: 'Exchanges with their texts, kept responses, feedback; oldest first each.',
            content: FILE,
          },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const { end_user: endUser } = request.params
      const deps = { pool, pseudonyms: privacy.pseudonyms, actor: actorOf(request) }
      const lines = await exportEndUser(deps, { endUser, project: request.query.project })
      // Read before a header is sent, so that what can't be read at all is a status.
      const first = await lines.next()
      async function* all() {
        if (first.done) return
        yield first.value
        yield* lines
      }
      return reply.type('application/jsonl').send(Readable.from(all(), { objectMode: false }))
    },
  )

  app.delete(
    '/admin/end-users/:end_user',
    {
      onRequest,
      schema: {
        operationId: 'eraseEndUser',
        summary: 'Erase the texts and names of one end user; figures stay',
        tags,
        security,
        params,
        querystring,
        response: { 200: ErasedBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { end_user: endUser } = request.params
      const deps = { pool, pseudonyms: privacy.pseudonyms, actor: actorOf(request) }
      return erasedBody(await forgetEndUser(deps, { endUser, project: request.query.project }))
    },
  )
}
