// GET /admin/audit: who changed what, when, what it was before and after.

import { Type } from 'typebox'

import { AUDITED_KINDS, listChanges } from '../db/audit.ts'
import { AuditBody, auditBody } from '../dialects/admin/audit.ts'
import { readTime } from '../dialects/admin/fields.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { AuditedKind } from '../db/audit.ts'
import type { App } from '../request.ts'

const text = (description: string) => Type.Optional(Type.String({ description }))

const Kind = Type.Unsafe<AuditedKind>({
  type: 'string',
  enum: [...AUDITED_KINDS],
  description: 'Of what was changed.',
})

export function adminAuditRoutes(app: App, { pool }: { pool: Pool }) {
  app.get(
    '/admin/audit',
    {
      onRequest: requireRole('admin'),
      schema: {
        operationId: 'listChanges',
        summary: 'List changes, newest first',
        tags: ['audit'],
        security: [{ key: [] }],
        querystring: Type.Object(
          {
            ...PAGE_QUERY,
            kind: Type.Optional(Kind),
            target: text('Id or name of what was changed.'),
            actor: text('Id or name of who changed it.'),
            action: text('key.create, key.revoke, …'),
            since: text('From this time on, such as 2027-01-31T00:00:00Z.'),
            until: text('Before this time.'),
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(AuditBody), default: ErrorBody },
      },
    },
    async ({ query }) => {
      const { kind, target, actor, action, since, until } = query
      const filter = {
        kind,
        object: target,
        actor,
        action,
        since: since === undefined ? undefined : readTime(since, 'since'),
        until: until === undefined ? undefined : readTime(until, 'until'),
      }
      return listBody(await listChanges(pool, filter, readPage(query)), auditBody)
    },
  )
}
