// The table of changes: who did what to which thing, what it was before and after. Appended to, never changed.
//
// A change and its row are one transaction: recordChange takes the transaction in which the change is made.
//
// Knows: SQL. Does not know: what the things are. Whoever records one hands over what may be read: no secrets.

import { randomUUIDv7 } from 'node:crypto'

import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export interface Actor {
  /** of the caller; null: the holder of the admin key, or whoever sits at the command line */
  id: string | null
  name: string
  /** `gateway`: it does so by itself, as when it takes back a canary */
  via: 'api' | 'command_line' | 'gateway'
}

/** What can be changed, or read so that it is written down. */
export const AUDITED_KINDS = [
  'key',
  'project',
  'upstream',
  'model',
  'version',
  'deployment',
  'webhook',
  'webhook_delivery',
  'catalog_model',
  'catalog_version',
  'catalog_note',
  'catalog_attachment',
  'exchange',
  'prompts',
  'end_user',
] as const

export type AuditedKind = (typeof AUDITED_KINDS)[number]

export interface Change {
  /** `key.create`, `upstream.update` */
  action: string
  kind: AuditedKind
  id: string
  name: string
  /** null: it was not there */
  before: object | null
  after: object | null
}

export interface AuditEntry extends Change {
  entryId: string
  at: Date
  actor: Actor
}

export interface AuditFilter {
  kind?: AuditedKind
  /** id or name of the thing */
  object?: string
  /** id or name of who did it */
  actor?: string
  action?: string
  since?: Date
  until?: Date
}

export async function recordChange(
  transaction: Queryable,
  actor: Actor,
  { action, kind, id, name, before, after }: Change,
): Promise<void> {
  await transaction.query(
    `INSERT INTO audit_log
       (id, at, actor_id, actor_name, via, action, object_kind, object_id, object_name, before, after)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      randomUUIDv7(),
      new Date(),
      actor.id,
      actor.name,
      actor.via,
      action,
      kind,
      id,
      name,
      before && JSON.stringify(before),
      after && JSON.stringify(after),
    ],
  )
}

interface Row extends Change {
  entryId: string
  at: Date
  actorId: string | null
  actorName: string
  via: Actor['via']
}

/** Newest first. */
export async function listChanges(
  db: Queryable,
  filter: AuditFilter,
  page: Page,
): Promise<Paged<AuditEntry>> {
  const { rows } = await db.query<Row>(
    `SELECT id AS "entryId", at, actor_id AS "actorId", actor_name AS "actorName", via, action,
            object_kind AS kind, object_id AS id, object_name AS name, before, after
     FROM audit_log
     WHERE ($1::text IS NULL OR object_kind = $1)
       AND ($2::text IS NULL OR object_id = $2 OR object_name = $2)
       AND ($3::text IS NULL OR actor_id::text = $3 OR actor_name = $3)
       AND ($4::text IS NULL OR action = $4)
       AND ($5::timestamptz IS NULL OR at >= $5)
       AND ($6::timestamptz IS NULL OR at < $6)
       AND ($7::uuid IS NULL OR id < $7)
     -- "id" alone would be that of the thing.
     ORDER BY audit_log.id DESC LIMIT $8`,
    [
      filter.kind,
      filter.object,
      filter.actor,
      filter.action,
      filter.since,
      filter.until,
      page.after,
      page.limit + 1,
    ],
  )
  const entries = rows.map(({ actorId, actorName, via, ...row }) => ({
    ...row,
    actor: { id: actorId, name: actorName, via },
  }))
  return paged(entries, page)
}

/**
 * Who reads what was said is told as well: one entry for each exchange.
 * @param action `exchange.read`, `exchange.search`, …
 */
export async function recordReadings(
  db: Queryable,
  actor: Actor,
  action: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return
  await db.query(
    `INSERT INTO audit_log
       (id, at, actor_id, actor_name, via, action, object_kind, object_id, object_name, before, after)
     SELECT entry, $2, $3, $4, $5, $6, 'exchange', exchange, exchange, NULL, NULL
     FROM unnest($1::uuid[], $7::text[]) AS readings (entry, exchange)`,
    [ids.map(() => randomUUIDv7()), new Date(), actor.id, actor.name, actor.via, action, ids],
  )
}
