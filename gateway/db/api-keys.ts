// The table of API keys: made, listed, revoked, found by their hash.
//
// A key is `hr_` and 256 random bits; it is shown once, when it is made, and only its SHA-256 is kept. Revoking takes
// effect wherever the table is asked next; the gateway remembers keys for a few seconds.
//
// Knows: SQL. Does not know: HTTP, who asks.

import { hash, randomBytes, randomUUIDv7 } from 'node:crypto'

import pg from 'pg'

import type { Queryable } from './pool.ts'
import type { Caller, Role } from '../callers/caller.ts'

export interface ApiKey {
  id: string
  name: string
  /** first characters of the key */
  prefix: string
  role: Role
  createdAt: Date
  revokedAt: Date | null
}

export class ApiKeyError extends Error {
  override name = 'ApiKeyError'
}

const NO_LIMITS = {
  project: null,
  limits: {},
  allowedModels: null,
  tags: {},
  cacheSeconds: null,
  expiresAt: null,
}
const PREFIX_CHARACTERS = 'hr_'.length + 6
const UNIQUE_VIOLATION = '23505'

/** `hr_` and 43 characters; with a kind, `hr_admin_` and so on. */
export function makeKey(kind?: 'admin'): string {
  return `hr_${kind ? `${kind}_` : ''}${randomBytes(32).toString('base64url')}`
}

export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** @returns null for a key that is unknown or revoked */
export async function findCallerByKeyHash(db: Queryable, keyHash: Buffer): Promise<Caller | null> {
  const { rows } = await db.query<Pick<Caller, 'id' | 'name' | 'role'>>(
    'SELECT id, name, role FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL',
    [keyHash],
  )
  return rows[0] ? { ...NO_LIMITS, ...rows[0] } : null
}

/**
 * @returns the key, for the only time
 * @throws ApiKeyError where the name is taken by a key that is valid
 */
export async function createApiKey(db: Queryable, name: string, role: Role): Promise<string> {
  const key = makeKey()
  try {
    await db.query(
      `INSERT INTO api_keys (id, name, key_hash, prefix, role, created_at)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [randomUUIDv7(), name, hashKey(key), key.slice(0, PREFIX_CHARACTERS), role, new Date()],
    )
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== UNIQUE_VIOLATION) throw error
    throw new ApiKeyError(
      `The name '${name}' is taken by a key that is valid. Revoke that one first, or take another name.`,
      { cause: error },
    )
  }
  return key
}

/** All of them, oldest first. */
export async function listApiKeys(db: Queryable): Promise<ApiKey[]> {
  const { rows } = await db.query<ApiKey>(
    `SELECT id, name, prefix, role, created_at AS "createdAt", revoked_at AS "revokedAt"
     FROM api_keys ORDER BY created_at, id`,
  )
  return rows
}

/**
 * @param idOrName of a key that is valid
 * @returns its name
 * @throws ApiKeyError where there is none
 */
export async function revokeApiKey(db: Queryable, idOrName: string): Promise<string> {
  const { rows } = await db.query<{ name: string }>(
    `UPDATE api_keys SET revoked_at = $2
     WHERE (id::text = $1 OR name = $1) AND revoked_at IS NULL RETURNING name`,
    [idOrName, new Date()],
  )
  if (rows[0]) return rows[0].name
  throw new ApiKeyError(
    `There is no valid key with the id or name '${idOrName}'. headrace keys list shows them all.`,
  )
}
