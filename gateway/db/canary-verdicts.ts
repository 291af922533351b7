// Table `canary_verdicts`: what the guards of each canary said last, for whoever looks, and for the next look.
//
// Knows: SQL. Does not know: what a verdict means.

import type { Queryable } from './pool.ts'
import type { GuardVerdict } from '../canary/guards.ts'

export interface CanaryVerdict {
  model: string
  /** number of the ledger's entry that the canary began with */
  began: number
  version: string
  /** number of the entry that the present share began with */
  step: number
  guards: GuardVerdict[]
  /** exchanges since then */
  canarySample: number
  liveSample: number
  judgedAt: Date
  /** number of the entry that ended it; null while it is there */
  ended: number | null
}

export async function findCanaryVerdict(
  db: Queryable,
  model: string,
  began: number,
): Promise<CanaryVerdict | null> {
  const { rows } = await db.query<CanaryVerdict>(
    `SELECT model, began, version, step, guards, canary_sample::float8 AS "canarySample",
       live_sample::float8 AS "liveSample", judged_at AS "judgedAt", ended
     FROM canary_verdicts WHERE model = $1 AND began = $2`,
    [model, began],
  )
  return rows[0] ?? null
}

/** The newest canary's, whether it is there still or not. */
export async function findNewestVerdict(
  db: Queryable,
  model: string,
): Promise<CanaryVerdict | null> {
  const { rows } = await db.query<CanaryVerdict>(
    `SELECT model, began, version, step, guards, canary_sample::float8 AS "canarySample",
       live_sample::float8 AS "liveSample", judged_at AS "judgedAt", ended
     FROM canary_verdicts WHERE model = $1 ORDER BY began DESC LIMIT 1`,
    [model],
  )
  return rows[0] ?? null
}

export async function upsertCanaryVerdict(db: Queryable, verdict: CanaryVerdict): Promise<void> {
  await db.query(
    `INSERT INTO canary_verdicts
       (model, began, version, step, guards, canary_sample, live_sample, judged_at, ended)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (model, began) DO UPDATE SET
       step = excluded.step, guards = excluded.guards, canary_sample = excluded.canary_sample,
       live_sample = excluded.live_sample, judged_at = excluded.judged_at, ended = excluded.ended`,
    [
      verdict.model,
      verdict.began,
      verdict.version,
      verdict.step,
      JSON.stringify(verdict.guards),
      verdict.canarySample,
      verdict.liveSample,
      verdict.judgedAt,
      verdict.ended,
    ],
  )
}
