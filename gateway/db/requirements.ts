// Table `model_requirements`: what a version must have been measured at before it may be deployed; and what was measured,
// from the catalog's evaluations.
//
// Knows: SQL. Does not know: what follows from it.

import type { Queryable } from './pool.ts'

export interface Requirement {
  dataset: string
  metric: string
  /** inclusive; null: no bound */
  min: number | null
  max: number | null
}

export interface Measured {
  dataset: string
  /** '' where the dataset has none */
  split: string
  metric: string
  value: number
}

export async function listRequirements(db: Queryable, model: string): Promise<Requirement[]> {
  const { rows } = await db.query<Requirement>(
    'SELECT dataset, metric, min, max FROM model_requirements WHERE model = $1 ORDER BY dataset, metric',
    [model],
  )
  return rows
}

/** Whoever changes requirements waits for who does so; readers don't. They are few, and seldom changed. */
export async function lockRequirements(transaction: Queryable): Promise<void> {
  await transaction.query('LOCK TABLE model_requirements IN SHARE ROW EXCLUSIVE MODE')
}

/** In a transaction: all of them are replaced. @param requirements each dataset and metric once */
export async function replaceRequirements(
  transaction: Queryable,
  model: string,
  requirements: readonly Requirement[],
): Promise<void> {
  await transaction.query('DELETE FROM model_requirements WHERE model = $1', [model])
  await transaction.query(
    `INSERT INTO model_requirements (model, dataset, metric, min, max)
     SELECT $1, dataset, metric, min, max
     FROM unnest($2::text[], $3::text[], $4::float8[], $5::float8[]) AS given (dataset, metric, min, max)`,
    [
      model,
      requirements.map(({ dataset }) => dataset),
      requirements.map(({ metric }) => metric),
      requirements.map(({ min }) => min),
      requirements.map(({ max }) => max),
    ],
  )
}

/** Of each dataset, split and metric the newest value. */
export async function newestEvaluations(db: Queryable, version: string): Promise<Measured[]> {
  const { rows } = await db.query<Measured>(
    `SELECT DISTINCT ON (dataset, metric, split) dataset, split, metric, value FROM catalog_evaluations
     WHERE version = $1 ORDER BY dataset, metric, split, measured_at DESC, id DESC`,
    [version],
  )
  return rows
}
