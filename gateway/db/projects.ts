// The table of projects: what keys belong to, with limits that all of them share.
//
// Knows: SQL. Does not know: HTTP, who asks.

import { limitsToWire, readLimits } from '../callers/limits.ts'
import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { Limits } from '../callers/caller.ts'
import type { CallersProject } from '../callers/project-memory.ts'
import type { WireLimits } from '../callers/limits.ts'

export interface Project {
  id: string
  name: string
  limits: Limits
  tags: Record<string, string>
  /** days that texts of its exchanges are kept, where that is shorter than the server keeps them; null: as long */
  bodiesRetentionDays: number | null
  bodies: BodyPolicy | null
  createdAt: Date
  createdBy: string
  updatedAt: Date
  archivedAt: Date | null
}

type Row = Omit<Project, 'limits'> & { limits: WireLimits }

const COLUMNS = `id, name, limits, tags, bodies, bodies_retention_days AS "bodiesRetentionDays",
  created_at AS "createdAt", created_by AS "createdBy",
  updated_at AS "updatedAt", archived_at AS "archivedAt"`

const fromRow = (row: Row): Project => ({ ...row, limits: readLimits(row.limits) })

export async function insertProject(db: Queryable, project: Project): Promise<void> {
  const { id, name, limits, tags, createdAt, createdBy, updatedAt } = project
  const { bodies, bodiesRetentionDays } = project
  await db.query(
    `INSERT INTO projects
       (id, name, limits, tags, bodies, bodies_retention_days, created_at, created_by, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      id,
      name,
      limitsToWire(limits),
      tags,
      bodies,
      bodiesRetentionDays,
      createdAt,
      createdBy,
      updatedAt,
    ],
  )
}

export async function updateProject(db: Queryable, project: Project): Promise<void> {
  const { id, name, limits, tags, bodies, bodiesRetentionDays, updatedAt, archivedAt } = project
  await db.query(
    `UPDATE projects SET name = $2, limits = $3, tags = $4, bodies = $5, bodies_retention_days = $6, updated_at = $7,
       archived_at = $8
     WHERE id = $1`,
    [id, name, limitsToWire(limits), tags, bodies, bodiesRetentionDays, updatedAt, archivedAt],
  )
}

/** By id, archived ones too; by name only those that are not. */
export async function findProject(db: Queryable, idOrName: string): Promise<Project | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM projects
     WHERE id::text = $1 OR (name = $1 AND archived_at IS NULL)
     ORDER BY id::text = $1 DESC LIMIT 1`,
    [idOrName],
  )
  return rows[0] ? fromRow(rows[0]) : null
}

/** What callers carry of their project; null where it is archived. */
export async function findProjectOfCallers(
  db: Queryable,
  idOrName: string,
): Promise<CallersProject | null> {
  const project = await findProject(db, idOrName)
  if (!project || project.archivedAt !== null) return null
  const { id, name, limits, bodies } = project
  return { id, name, limits, bodies }
}

/** As findProject, and nobody else changes it, or puts a key into it, before the transaction ends. */
export async function lockProject(
  transaction: Queryable,
  idOrName: string,
): Promise<Project | null> {
  const found = await findProject(transaction, idOrName)
  if (!found) return null
  // What was read before the lock may be what somebody else has just changed.
  const { rows } = await transaction.query<Row>(
    `SELECT ${COLUMNS} FROM projects WHERE id = $1 FOR UPDATE`,
    [found.id],
  )
  const [row] = rows
  // Renamed meanwhile: whoever asked by name didn't mean this one.
  if (row && row.id !== idOrName && row.name !== idOrName) return lockProject(transaction, idOrName)
  return row ? fromRow(row) : null
}

/** Newest first. @param only the id of the one project that may be seen; undefined: all */
export async function listProjects(
  db: Queryable,
  { only, withArchived }: { only?: string; withArchived: boolean },
  page: Page,
): Promise<Paged<Project>> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM projects
     WHERE ($1::uuid IS NULL OR id = $1) AND ($2 OR archived_at IS NULL)
       AND ($3::uuid IS NULL OR id < $3)
     ORDER BY id DESC LIMIT $4`,
    [only, withArchived, page.after, page.limit + 1],
  )
  return paged(rows.map(fromRow), page)
}
