// A gateway with real tables, and its admin API as a test asks it.

import type { TestContext } from 'node:test'

import { findCallerByKeyHash } from '../../gateway/db/api-keys.ts'
import { migrate } from '../../gateway/db/migrate.ts'
import { findProjectOfCallers } from '../../gateway/db/projects.ts'
import { ADMIN_KEY, startGateway } from './gateway.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { GatewayOptions } from './gateway.ts'
import type { TestPostgres } from './postgres.ts'

export interface Answer {
  status: number
  body: Record<string, unknown>
  headers: Headers
}

export async function startAdmin(
  t: TestContext,
  postgres: TestPostgres | Pool,
  options: GatewayOptions = {},
) {
  const pool = 'pool' in postgres ? await postgres.pool(t) : postgres
  await migrate(pool)
  const gateway = await startGateway(t, {
    settings: options.settings,
    deps: {
      pool,
      callers: {
        findByKeyHash: (keyHash) => findCallerByKeyHash(pool, keyHash),
        findProject: (idOrName) => findProjectOfCallers(pool, idOrName),
      },
      ...options.deps,
    },
  })
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    key = ADMIN_KEY,
  ): Promise<Answer> => {
    const response = await fetch(gateway.url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const { status, headers } = response
    return { status, headers, body: (await response.json()) as Answer['body'] }
  }
  /** @returns the key itself, and what is known of it */
  const makeKey = async (draft: object) => {
    const { status, body } = await ask('POST', '/admin/keys', draft)
    if (status !== 201) throw new Error(`No key was made: ${JSON.stringify(body)}`)
    return { key: String(body['key']), id: String(body['id']), body }
  }
  return { ...gateway, pool, ask, makeKey }
}

export function rowsOf({ body }: Answer): Record<string, unknown>[] {
  return body['data'] as Record<string, unknown>[]
}

export function errorOf({ status, body }: Answer) {
  const { code, message, param } = body['error'] as Record<'code' | 'message' | 'param', string>
  return { status, code, message, param }
}
