// The audit log in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { Time } from './fields.ts'
import type { AuditEntry } from '../../db/audit.ts'

const Thing = Type.Unsafe<object | null>({
  type: ['object', 'null'],
  description: 'As the admin API tells it; null: it was not there.',
})

export const AuditBody = Type.Object({
  object: Type.Literal('audit_entry'),
  id: Type.String(),
  at: Time,
  actor: Type.Object({
    id: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
    name: Type.String(),
    via: Type.Unsafe<AuditEntry['actor']['via']>({
      type: 'string',
      enum: ['api', 'command_line', 'gateway'],
    }),
  }),
  action: Type.String({ description: 'key.create, project.update, …' }),
  target: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.String() }),
  before: Thing,
  after: Thing,
})

export function auditBody(entry: AuditEntry): Static<typeof AuditBody> {
  return {
    object: 'audit_entry',
    id: entry.entryId,
    at: entry.at.toISOString(),
    actor: entry.actor,
    action: entry.action,
    target: { kind: entry.kind, id: entry.id, name: entry.name },
    before: entry.before,
    after: entry.after,
  }
}
