// Changes of projects: each is one transaction with its row of the audit log.
//
// Knows: what may be done to a project. Does not know: HTTP, the command line, who may do it.

import { randomUUIDv7 } from 'node:crypto'

import { GatewayError } from '../errors.ts'
import { limitsToWire, readLimits } from '../callers/limits.ts'
import { mergePatch } from '../dialects/admin/fields.ts'
import { projectBody } from '../dialects/admin/project.ts'
import { recordChange } from '../db/audit.ts'
import { findProject, insertProject, lockProject, updateProject } from '../db/projects.ts'
import { inTransaction, isUniqueViolation } from '../db/transaction.ts'
import type { Caller } from '../callers/caller.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { Project } from '../db/projects.ts'
import type { ProjectDraft, ProjectPatch } from '../dialects/admin/project.ts'

/** @throws GatewayError `name_taken` */
export async function createProject(
  pool: Pool,
  actor: Actor,
  draft: ProjectDraft,
): Promise<Project> {
  const now = new Date()
  const project: Project = {
    id: randomUUIDv7(),
    name: draft.name,
    limits: readLimits(draft.limits ?? {}),
    tags: mergePatch({}, draft.tags ?? {}),
    bodiesRetentionDays: draft.bodies_retention_days ?? null,
    bodies: draft.bodies ?? null,
    createdAt: now,
    createdBy: actor.name,
    updatedAt: now,
    archivedAt: null,
  }
  return change(pool, actor, 'project.create', async (transaction) => {
    await insertProject(transaction, project)
    return { before: null, after: project }
  })
}

/** @throws GatewayError `project_not_found`, `name_taken` */
export async function changeProject(
  pool: Pool,
  actor: Actor,
  idOrName: string,
  { name, limits, tags, bodies, bodies_retention_days: days, archived }: ProjectPatch,
): Promise<Project> {
  const action = archived === undefined ? 'update' : archived ? 'archive' : 'restore'
  return change(pool, actor, `project.${action}`, async (transaction) => {
    const before = await lockProject(transaction, idOrName)
    if (!before) throw noProject(idOrName)
    const now = new Date()
    const after: Project = {
      ...before,
      name: name ?? before.name,
      limits: limits
        ? readLimits(mergePatch({ ...limitsToWire(before.limits) }, limits))
        : before.limits,
      tags: tags ? mergePatch(before.tags, tags) : before.tags,
      bodiesRetentionDays: days === undefined ? before.bodiesRetentionDays : days,
      bodies: bodies === undefined ? before.bodies : bodies,
      archivedAt:
        archived === undefined ? before.archivedAt : archived ? (before.archivedAt ?? now) : null,
      updatedAt: now,
    }
    await updateProject(transaction, after)
    return { before, after }
  })
}

/** @throws GatewayError `project_not_found` */
export async function getProject(db: Queryable, idOrName: string): Promise<Project> {
  const project = await findProject(db, idOrName)
  if (!project) throw noProject(idOrName)
  return project
}

/**
 * The same for whoever may see only their own.
 * @throws GatewayError `project_not_found`, also for one of others: what they have is not to be found out by trying
 */
export async function getVisibleProject(
  db: Queryable,
  caller: Caller,
  idOrName: string,
): Promise<Project> {
  const project = await getProject(db, idOrName)
  if (caller.role === 'admin' || caller.project?.id === project.id) return project
  throw noProject(idOrName)
}

async function change(
  pool: Pool,
  actor: Actor,
  action: string,
  work: (transaction: Queryable) => Promise<{ before: Project | null; after: Project }>,
): Promise<Project> {
  try {
    return await inTransaction(pool, async (transaction) => {
      const { before, after } = await work(transaction)
      await recordChange(transaction, actor, {
        action,
        kind: 'project',
        id: after.id,
        name: after.name,
        before: before && projectBody(before),
        after: projectBody(after),
      })
      return after
    })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw new GatewayError(
      'name_taken',
      'The name is taken by another project. Archive that one first, or take another name.',
      { param: 'name', cause: error },
    )
  }
}

export function noProject(idOrName: string): GatewayError {
  return new GatewayError(
    'project_not_found',
    `There is no project with the id or name '${idOrName}'.`,
  )
}
