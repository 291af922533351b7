// Versions on trial over a real PostgreSQL: deployments of versions that are upstreams' in name only, and exchanges that
// are written as rows.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import type { TestContext } from 'node:test'

import { CanaryController } from '../../gateway/canary/controller.ts'
import { evaluationGate } from '../../gateway/canary/evaluation-gate.ts'
import { readFigures } from '../../gateway/canary/figures.ts'
import { trialOf } from '../../gateway/canary/trial.ts'
import { findLiveDeployment, listLiveDeployments } from '../../gateway/db/deployments.ts'
import { migrate } from '../../gateway/db/migrate.ts'
import { dayOf, ensurePartitions } from '../../gateway/db/partitions.ts'
import { openDeployments } from '../../gateway/deployments/open.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { Evaluations } from '../../gateway/canary/evaluation-gate.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { Asked } from '../../gateway/deployments/switchboard.ts'
import type { VersionSource } from '../../gateway/deployments/version-source.ts'
import type { Attempt } from '../../gateway/routing/route.ts'
import type { TestPostgres } from './postgres.ts'

export const TESTER: Asked = { actor: { id: null, name: 'tests', via: 'api' } }

export interface TrialRow {
  version: string
  outcome: 'completed' | 'cancelled' | 'failed' | 'refused'
  errorCode: string | null
  attempts: Attempt[] | null
  finishReason: string
  firstMs: number | null
  totalMs: number
  cache: 'hit' | null
  /** null: a pinned version */
  deployment: number | null
  thumb: 'up' | 'down' | null
}

export async function insertTrialRows(
  pool: Pool,
  model: string,
  deployment: number,
  rows: Partial<TrialRow>[],
) {
  await ensurePartitions(pool, [dayOf(Date.now())])
  const filled = rows.map((row) => ({
    id: randomUUIDv7(),
    version: `${model}@1`,
    outcome: 'completed',
    errorCode: null,
    attempts: null,
    finishReason: 'stop',
    firstMs: 100,
    totalMs: 1_000,
    cache: null,
    deployment,
    thumb: null,
    ...row,
  }))
  await pool.query(
    `INSERT INTO exchanges
       (id, started_at, method, route, model, version, upstream, attempt_count, attempts, streamed, finish_reasons,
        is_usage_estimated, cache, time_to_first_token_ms, total_ms, outcome, status, error_code, is_stored, deployment)
     SELECT id, now(), 'POST', '/v1/chat/completions', $2, version, 'far', 1, attempts, true, ARRAY["finishReason"], false,
       cache, "firstMs", "totalMs", outcome, 200, "errorCode", false, deployment
     FROM json_to_recordset($1) AS given (id uuid, version text, outcome text, "errorCode" text, attempts jsonb,
       "finishReason" text, "firstMs" real, "totalMs" real, cache text, deployment bigint)`,
    [JSON.stringify(filled), model],
  )
  const rated = filled.filter(({ thumb }) => thumb !== null)
  await pool.query(
    `INSERT INTO feedback
       (id, exchange_id, giver, given_by, thumb, model, version, is_confirmed, given_at, updated_at)
     SELECT id, id, 'user:' || id, 'end_user', thumb, $2, version, true, now(), now()
     FROM json_to_recordset($1) AS given (id uuid, thumb text, version text)`,
    [JSON.stringify(rated), model],
  )
}

export const times = (count: number, row: Partial<TrialRow>): Partial<TrialRow>[] =>
  Array.from({ length: count }, () => row)

/** Whatever is asked for is there, far away. */
export const FAR_VERSIONS: VersionSource = {
  find: (id) =>
    Promise.resolve({
      kind: 'upstream',
      upstream: 'far',
      asks: id,
      price: { input: 1, output: 2 },
      created: '2026-01-01T00:00:00.000Z',
    }),
  listModels: () => Promise.resolve([]),
  newestOf: () => Promise.resolve(null),
}

export interface TrialsSetup {
  evaluations?: Evaluations
}

/** `guide@1` is live; `guide@2`, `guide@3`, … are there. */
export async function startTrials(
  t: TestContext,
  postgres: TestPostgres,
  { evaluations }: TrialsSetup = {},
) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const { logger, messages } = recordLog()
  const deployments = await openDeployments({
    pool,
    versions: FAR_VERSIONS,
    runtime: null,
    isDeclared: () => false,
    gates: evaluations ? [evaluationGate(evaluations)] : [],
    keepMs: 0,
    logger,
  })
  defer(t, () => deployments.close())
  const { switchboard, live } = deployments
  /** how far ahead of the time the controller is */
  const clock = { aheadMs: 0 }
  const controllerOf = () =>
    new CanaryController({
      pool,
      live,
      switchboard,
      logger,
      now: () => new Date(Date.now() + clock.aheadMs),
    })
  await switchboard.deploy('guide', { action: 'deploy', version: 'guide@1' }, TESTER)
  /** As what is live now led them. */
  const insert = async (rows: Partial<TrialRow>[]) => {
    const live = await findLiveDeployment(pool, 'guide')
    await insertTrialRows(pool, 'guide', live!.id, rows)
  }
  const figures = async () => {
    const trial = trialOf(await listLiveDeployments(pool, 'guide'))
    assert.ok(trial)
    return readFigures(pool, trial)
  }
  return {
    pool,
    deployments,
    switchboard,
    live,
    clock,
    controllerOf,
    insert,
    figures,
    logger,
    messages,
  }
}
