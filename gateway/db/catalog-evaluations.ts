// The table of evaluations: what a version achieved on a dataset, whoever measured it. Appended to; the newest counts.
//
// Knows: SQL. Does not know: how anything was measured.

import { paged } from './page.ts'
import type { Page, Paged } from './page.ts'
import type { Queryable } from './pool.ts'

export interface Evaluation {
  id: string
  model: string
  /** `model@number` */
  version: string
  dataset: string
  /** '' where the dataset has none */
  split: string
  metric: string
  value: number
  higherIsBetter: boolean
  sampleSize: number | null
  /** of whatever evaluated */
  run: string | null
  measuredAt: Date
  measuredBy: string
}

export interface EvaluationFilter {
  model: string
  version?: string
  dataset?: string
  metric?: string
}

const COLUMNS = `id, model, version, dataset, split, metric, value, higher_is_better AS "higherIsBetter",
  sample_size::float8 AS "sampleSize", run, measured_at AS "measuredAt", measured_by AS "measuredBy"`

export async function insertEvaluations(
  db: Queryable,
  evaluations: readonly Evaluation[],
): Promise<void> {
  await db.query(
    `INSERT INTO catalog_evaluations
       (id, model, version, dataset, split, metric, value, higher_is_better, sample_size, run, measured_at, measured_by)
     SELECT id, model, version, dataset, split, metric, value, "higherIsBetter", "sampleSize", run, "measuredAt",
       "measuredBy"
     FROM json_to_recordset($1) AS told (
       id uuid, model text, version text, dataset text, split text, metric text, value float8,
       "higherIsBetter" boolean, "sampleSize" bigint, run text, "measuredAt" timestamptz, "measuredBy" text
     )`,
    [JSON.stringify(evaluations)],
  )
}

/** As they were told, newest first. */
export async function listEvaluations(
  db: Queryable,
  { model, version, dataset, metric }: EvaluationFilter,
  page: Page,
): Promise<Paged<Evaluation>> {
  const { rows } = await db.query<Evaluation>(
    `SELECT ${COLUMNS} FROM catalog_evaluations
     WHERE model = $1 AND ($2::text IS NULL OR version = $2) AND ($3::text IS NULL OR dataset = $3)
       AND ($4::text IS NULL OR metric = $4) AND ($5::uuid IS NULL OR id < $5)
     ORDER BY id DESC LIMIT $6`,
    [model, version, dataset, metric, page.after, page.limit + 1],
  )
  return paged(rows, page)
}

/** Of each version's metric on a dataset what was measured last; by dataset, split and metric. */
export async function listLatestEvaluations(
  db: Queryable,
  versions: readonly string[],
): Promise<Evaluation[]> {
  const { rows } = await db.query<Evaluation>(
    `SELECT DISTINCT ON (dataset, split, metric, version) ${COLUMNS} FROM catalog_evaluations
     WHERE version = ANY($1)
     ORDER BY dataset, split, metric, version, measured_at DESC, id DESC`,
    [versions],
  )
  return rows
}
