// A table of responses, what keeps them in it, and gateways on it.

import type { TestContext } from 'node:test'

import OpenAI from 'openai'

import { migrate } from '../../gateway/db/migrate.ts'
import { KeptResponses } from '../../gateway/responses/kept-responses.ts'
import { startGateway } from './gateway.ts'
import { recordLog } from './logger.ts'
import { ScriptedBackend } from './scripted-backend.ts'
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

/** A gateway with a table of its own. */
export async function startKeeping(
  t: TestContext,
  postgres: TestPostgres,
  options: Partial<KeptResponsesOptions> = {},
) {
  const db = await responsesDatabase(t, postgres)
  return { ...(await startOn(t, db, options)), db }
}

/** One more on the same table, as another replica is. */
export async function startOn(
  t: TestContext,
  db: Queryable,
  options: Partial<KeptResponsesOptions> = {},
) {
  const backend = new ScriptedBackend()
  const deps = { responses: keepIn(db, options), routes: backend.routes() }
  const gateway = await startGateway(t, { deps })
  const clientOf = (key: string) =>
    new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0 })
  return { ...gateway, backend, clientOf }
}
