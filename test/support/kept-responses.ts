// A table of responses, and what keeps them in it.

import type { TestContext } from 'node:test'

import { migrate } from '../../gateway/db/migrate.ts'
import { KeptResponses } from '../../gateway/responses/kept-responses.ts'
import { recordLog } from './logger.ts'
import type { TestPostgres } from './postgres.ts'
import type { Pool, Queryable } from '../../gateway/db/pool.ts'
import type { KeptResponsesOptions } from '../../gateway/responses/kept-responses.ts'

export const DAY_MS = 24 * 60 * 60_000

export async function responsesDatabase(t: TestContext, postgres: TestPostgres): Promise<Pool> {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return pool
}

export function keepIn(db: Queryable, options: Partial<KeptResponsesOptions> = {}): KeptResponses {
  return new KeptResponses({ db, ttlMs: 30 * DAY_MS, logger: recordLog().logger, ...options })
}
