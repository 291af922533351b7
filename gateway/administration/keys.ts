// Changes of API keys: each is one transaction with its row of the audit log.
//
// Knows: what may be done to a key. Does not know: HTTP, the command line, who may do it. A key itself is returned to
// whoever had it made, and is nowhere else.

import { randomUUIDv7 } from 'node:crypto'

import { GatewayError } from '../errors.ts'
import { limitsToWire, readLimits } from '../callers/limits.ts'
import { keyBody } from '../dialects/admin/key.ts'
import { mergePatch, readTime } from '../dialects/admin/fields.ts'
import {
  findApiKey,
  hashKey,
  insertApiKey,
  lockApiKey,
  makeKey,
  prefixOf,
  replaceKeyHash,
  updateApiKey,
} from '../db/api-keys.ts'
import { recordChange } from '../db/audit.ts'
import { lockProject } from '../db/projects.ts'
import { inTransaction, isUniqueViolation } from '../db/transaction.ts'
import { noProject } from './projects.ts'
import type { ApiKey } from '../db/api-keys.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { KeyDraft, KeyPatch } from '../dialects/admin/key.ts'

export interface NewKey {
  apiKey: ApiKey
  /** itself, for the only time */
  key: string
}

/** @throws GatewayError `name_taken`, `project_not_found`, `project_archived`, `invalid_value` */
export async function createKey(pool: Pool, actor: Actor, draft: KeyDraft): Promise<NewKey> {
  const key = makeKey()
  const now = new Date()
  const expiresAt = readExpiry(draft.expires_at)
  if (expiresAt && expiresAt <= now) {
    throw new GatewayError(
      'invalid_value',
      `'expires_at' must lie in the future; got ${expiresAt.toISOString()}.`,
      { param: 'expires_at' },
    )
  }
  const apiKey = await change(pool, actor, 'key.create', async (transaction) => {
    const after: ApiKey = {
      id: randomUUIDv7(),
      name: draft.name,
      prefix: prefixOf(key),
      role: draft.role ?? 'caller',
      project: await projectOf(transaction, draft.project ?? null),
      allowedModels: draft.allowed_models ?? null,
      limits: readLimits(draft.limits ?? {}),
      tags: mergePatch({}, draft.tags ?? {}),
      cacheSeconds: draft.cache_seconds ?? null,
      bodies: draft.bodies ?? null,
      expiresAt,
      createdAt: now,
      createdBy: actor.name,
      updatedAt: now,
      rotatedAt: null,
      previousUntil: null,
      revokedAt: null,
    }
    await insertApiKey(transaction, after, hashKey(key))
    return { before: null, after }
  })
  return { apiKey, key }
}

/** @throws GatewayError as createKey, and `key_not_found`, `key_revoked` */
export async function changeKey(
  pool: Pool,
  actor: Actor,
  idOrName: string,
  patch: KeyPatch,
): Promise<ApiKey> {
  const { name, role, project, allowed_models: models, limits, tags } = patch
  const { cache_seconds: cacheSeconds, bodies, expires_at: expiresAt } = patch
  return change(pool, actor, 'key.update', async (transaction) => {
    const before = await lockValid(transaction, idOrName)
    const after: ApiKey = {
      ...before,
      name: name ?? before.name,
      role: role ?? before.role,
      project: project === undefined ? before.project : await projectOf(transaction, project),
      allowedModels: models === undefined ? before.allowedModels : models,
      limits: limits
        ? readLimits(mergePatch({ ...limitsToWire(before.limits) }, limits))
        : before.limits,
      tags: tags ? mergePatch(before.tags, tags) : before.tags,
      cacheSeconds: cacheSeconds === undefined ? before.cacheSeconds : cacheSeconds,
      bodies: bodies === undefined ? before.bodies : bodies,
      expiresAt: expiresAt === undefined ? before.expiresAt : readExpiry(expiresAt),
      updatedAt: new Date(),
    }
    await updateApiKey(transaction, after)
    return { before, after }
  })
}

/**
 * The same key with another secret. The one of before works for that long; the one before that no longer.
 * @throws GatewayError `key_not_found`, `key_revoked`
 */
export async function rotateKey(
  pool: Pool,
  actor: Actor,
  idOrName: string,
  overlapSeconds: number,
): Promise<NewKey> {
  const key = makeKey()
  const apiKey = await change(pool, actor, 'key.rotate', async (transaction) => {
    const before = await lockValid(transaction, idOrName)
    const now = new Date()
    const after: ApiKey = {
      ...before,
      prefix: prefixOf(key),
      rotatedAt: now,
      updatedAt: now,
      previousUntil: overlapSeconds > 0 ? new Date(now.getTime() + overlapSeconds * 1000) : null,
    }
    await replaceKeyHash(transaction, after, hashKey(key))
    return { before, after }
  })
  return { apiKey, key }
}

/** For good: its row stays, since exchanges go on naming it. @throws GatewayError `key_not_found`, `key_revoked` */
export async function revokeKey(pool: Pool, actor: Actor, idOrName: string): Promise<ApiKey> {
  return change(pool, actor, 'key.revoke', async (transaction) => {
    const before = await lockValid(transaction, idOrName)
    const now = new Date()
    const after = { ...before, revokedAt: now, updatedAt: now }
    await updateApiKey(transaction, after)
    return { before, after }
  })
}

/** @throws GatewayError `key_not_found` */
export async function getKey(db: Queryable, idOrName: string): Promise<ApiKey> {
  const apiKey = await findApiKey(db, idOrName)
  if (!apiKey) throw noKey(idOrName)
  return apiKey
}

async function change(
  pool: Pool,
  actor: Actor,
  action: string,
  work: (transaction: Queryable) => Promise<{ before: ApiKey | null; after: ApiKey }>,
): Promise<ApiKey> {
  try {
    return await inTransaction(pool, async (transaction) => {
      const { before, after } = await work(transaction)
      await recordChange(transaction, actor, {
        action,
        kind: 'key',
        id: after.id,
        name: after.name,
        before: before && keyBody(before),
        after: keyBody(after),
      })
      return after
    })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw new GatewayError(
      'name_taken',
      'The name is taken by a key that is valid. Revoke that one first, or take another name.',
      { param: 'name', cause: error },
    )
  }
}

async function lockValid(transaction: Queryable, idOrName: string): Promise<ApiKey> {
  const apiKey = await lockApiKey(transaction, idOrName)
  if (!apiKey) throw noKey(idOrName)
  if (apiKey.revokedAt === null) return apiKey
  throw new GatewayError(
    'key_revoked',
    `The key '${apiKey.name}' was revoked at ${apiKey.revokedAt.toISOString()}, and that is for good.`,
  )
}

async function projectOf(
  transaction: Queryable,
  idOrName: string | null,
): Promise<ApiKey['project']> {
  if (idOrName === null) return null
  const project = await lockProject(transaction, idOrName)
  if (!project) throw noProject(idOrName)
  if (project.archivedAt !== null) {
    throw new GatewayError('project_archived', `The project '${project.name}' is archived.`, {
      param: 'project',
    })
  }
  return { id: project.id, name: project.name }
}

function readExpiry(text: string | null | undefined): Date | null {
  return text === null || text === undefined ? null : readTime(text, 'expires_at')
}

export function noKey(idOrName: string): GatewayError {
  return new GatewayError(
    'key_not_found',
    `There is no valid key with the id or name '${idOrName}'.`,
  )
}
