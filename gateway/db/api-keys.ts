// The table of API keys.
//
// A key is `hr_` and 256 random bits; it is shown once, when it is made, and only its SHA-256 is kept. Where it was
// rotated, the digest of the key before is kept too, with the time until which that one works.
//
// Knows: SQL. Does not know: HTTP, who asks, the audit (administration/keys.ts does).

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

import { stricterOf } from '../callers/body-policy.ts'
import { limitsToWire, readLimits } from '../callers/limits.ts'
import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { Caller, Limits, Role } from '../callers/caller.ts'
import type { WireLimits } from '../callers/limits.ts'

/** What may be known of a key: everything but itself. */
export interface ApiKey {
  id: string
  name: string
  /** first characters of the key */
  prefix: string
  role: Role
  project: { id: string; name: string } | null
  allowedModels: string[] | null
  limits: Limits
  tags: Record<string, string>
  cacheSeconds: number | null
  bodies: BodyPolicy | null
  expiresAt: Date | null
  createdAt: Date
  /** null: made before that was noted */
  createdBy: string | null
  updatedAt: Date | null
  rotatedAt: Date | null
  /** the key before the last rotation works until then; null: it doesn't */
  previousUntil: Date | null
  revokedAt: Date | null
}

export interface KeyFilter {
  /** what the asker may see; undefined: all */
  visibleTo?: { keyId: string | null; projectId: string | null }
  projectId?: string
  withRevoked: boolean
}

const PREFIX_CHARACTERS = 'hr_'.length + 6

/** `hr_` and 43 characters; with a kind, `hr_admin_` and so on. */
export function makeKey(kind?: 'admin'): string {
  return `hr_${kind ? `${kind}_` : ''}${randomBytes(32).toString('base64url')}`
}

export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

export function prefixOf(key: string): string {
  return key.slice(0, PREFIX_CHARACTERS)
}

const COLUMNS = `k.id, k.name, k.prefix, k.role, k.allowed_models AS "allowedModels", k.limits, k.tags,
  k.cache_seconds AS "cacheSeconds", k.bodies, k.expires_at AS "expiresAt", k.created_at AS "createdAt",
  k.created_by AS "createdBy", k.updated_at AS "updatedAt", k.rotated_at AS "rotatedAt",
  k.previous_until AS "previousUntil", k.revoked_at AS "revokedAt",
  p.id AS "projectId", p.name AS "projectName"`
const TABLES = 'api_keys k LEFT JOIN projects p ON p.id = k.project_id'

interface Row extends Omit<ApiKey, 'limits' | 'project'> {
  limits: WireLimits
  projectId: string | null
  projectName: string | null
}

interface CallerRow extends Row {
  keyHash: Buffer
  projectLimits: WireLimits | null
  projectBodies: BodyPolicy | null
}

/**
 * Who a key belongs to, an expired one too: `expiresAt` says so. A key that was rotated expires with its overlap.
 * @returns null for a key that is unknown or revoked, or whose project is archived
 */
export async function findCallerByKeyHash(db: Queryable, keyHash: Buffer): Promise<Caller | null> {
  const { rows } = await db.query<CallerRow>(
    `SELECT ${COLUMNS}, k.key_hash AS "keyHash", p.limits AS "projectLimits",
       p.bodies AS "projectBodies" FROM ${TABLES}
     WHERE (k.key_hash = $1 OR k.previous_hash = $1)
       AND k.revoked_at IS NULL AND p.archived_at IS NULL`,
    [keyHash],
  )
  const [row] = rows
  if (!row) return null
  // The index was searched with a digest, which nobody can choose; which of the two it is takes equally long to tell.
  const isCurrent = timingSafeEqual(row.keyHash, keyHash)
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    project: row.projectId
      ? {
          id: row.projectId,
          name: row.projectName!,
          limits: readLimits(row.projectLimits!),
        }
      : null,
    limits: readLimits(row.limits),
    allowedModels: row.allowedModels,
    tags: row.tags,
    cacheSeconds: row.cacheSeconds,
    bodies: stricterOf(row.bodies, row.projectBodies),
    expiresAt: isCurrent ? row.expiresAt : earlier(row.previousUntil, row.expiresAt),
  }
}

export async function insertApiKey(db: Queryable, apiKey: ApiKey, keyHash: Buffer): Promise<void> {
  await db.query(
    `INSERT INTO api_keys (id, name, key_hash, prefix, role, project_id, allowed_models, limits, tags,
       cache_seconds, bodies, expires_at, created_at, created_by, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    [
      apiKey.id,
      apiKey.name,
      keyHash,
      apiKey.prefix,
      apiKey.role,
      apiKey.project?.id,
      apiKey.allowedModels,
      limitsToWire(apiKey.limits),
      apiKey.tags,
      apiKey.cacheSeconds,
      apiKey.bodies,
      apiKey.expiresAt,
      apiKey.createdAt,
      apiKey.createdBy,
      apiKey.updatedAt,
    ],
  )
}

export async function updateApiKey(db: Queryable, apiKey: ApiKey): Promise<void> {
  await db.query(
    `UPDATE api_keys SET name = $2, role = $3, project_id = $4, allowed_models = $5, limits = $6, tags = $7,
       cache_seconds = $8, bodies = $9, expires_at = $10, updated_at = $11, revoked_at = $12
     WHERE id = $1`,
    [
      apiKey.id,
      apiKey.name,
      apiKey.role,
      apiKey.project?.id,
      apiKey.allowedModels,
      limitsToWire(apiKey.limits),
      apiKey.tags,
      apiKey.cacheSeconds,
      apiKey.bodies,
      apiKey.expiresAt,
      apiKey.updatedAt,
      apiKey.revokedAt,
    ],
  )
}

/** The key becomes another; the one that it was goes on until `previousUntil`, where that is set. */
export async function replaceKeyHash(db: Queryable, apiKey: ApiKey, keyHash: Buffer) {
  await db.query(
    `UPDATE api_keys SET previous_hash = CASE WHEN $5::timestamptz IS NULL THEN NULL ELSE key_hash END,
       key_hash = $2, prefix = $3, rotated_at = $4, previous_until = $5, updated_at = $4
     WHERE id = $1`,
    [apiKey.id, keyHash, apiKey.prefix, apiKey.rotatedAt, apiKey.previousUntil],
  )
}

/** By id, revoked ones too; by name only those that are not. */
export async function findApiKey(db: Queryable, idOrName: string): Promise<ApiKey | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM ${TABLES}
     WHERE k.id::text = $1 OR (k.name = $1 AND k.revoked_at IS NULL)
     ORDER BY k.id::text = $1 DESC LIMIT 1`,
    [idOrName],
  )
  return rows[0] ? fromRow(rows[0]) : null
}

/** As findApiKey, and nobody else changes it before the transaction ends. */
export async function lockApiKey(transaction: Queryable, idOrName: string): Promise<ApiKey | null> {
  const found = await findApiKey(transaction, idOrName)
  if (!found) return null
  await transaction.query('SELECT id FROM api_keys WHERE id = $1 FOR UPDATE', [found.id])
  // What was read before the lock may be what somebody else has just changed.
  return findApiKey(transaction, found.id)
}

/** Newest first. */
export async function listApiKeys(
  db: Queryable,
  { visibleTo, projectId, withRevoked }: KeyFilter,
  page: Page,
): Promise<Paged<ApiKey>> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM ${TABLES}
     WHERE ($1 OR k.id = $2 OR k.project_id = $3)
       AND ($4::uuid IS NULL OR k.project_id = $4)
       AND ($5 OR k.revoked_at IS NULL)
       AND ($6::uuid IS NULL OR k.id < $6)
     ORDER BY k.id DESC LIMIT $7`,
    [
      visibleTo === undefined,
      visibleTo?.keyId,
      visibleTo?.projectId,
      projectId,
      withRevoked,
      page.after,
      page.limit + 1,
    ],
  )
  return paged(rows.map(fromRow), page)
}

function fromRow({ projectId, projectName, ...row }: Row): ApiKey {
  const project = projectId === null ? null : { id: projectId, name: projectName ?? '' }
  return { ...row, limits: readLimits(row.limits), project }
}

function earlier(one: Date | null, other: Date | null): Date | null {
  if (!one || !other) return one ?? other
  return one < other ? one : other
}
