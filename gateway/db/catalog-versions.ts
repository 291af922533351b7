// The table of versions: what each is, where it came from, whether it may be used.
//
// Rows stay when a version is deleted: its id is in the log of exchanges, and is never given again.
//
// Knows: SQL. Does not know: folders, who may change what.

import type { CatalogPrice } from './catalog-models.ts'
import type { Queryable } from './pool.ts'

export const VERSION_STATES = ['draft', 'ready', 'archived', 'deleted'] as const
export type VersionState = (typeof VERSION_STATES)[number]
type Condition = 'present' | 'missing' | 'damaged'

/** In the wire's words, as it is kept. */
export interface TrainingData {
  name: string
  /** of examples */
  size?: number
  split?: string
  source?: string
}

/** Said once by whoever knows: at the registration, or later where nothing was said. */
export interface VersionFacts {
  baseModel: string | null
  trainingData: TrainingData[] | null
  hyperparameters: Record<string, unknown> | null
  trainingRun: string | null
  /** Markdown: what is new in it */
  changeNote: string | null
  createdBy: string | null
}

/** What a local version's manifest says. */
export interface VersionOrigin {
  /** of everything that makes its answers; equal digests answer alike */
  digest: string | null
  source: string | null
  sourceRevision: string | null
  family: string | null
  precision: string | null
  parameters: number | null
  contextLength: number | null
  bytes: number | null
  licence: string | null
}

export interface CatalogVersion extends VersionFacts, VersionOrigin {
  /** `model@number` */
  id: string
  model: string
  number: number
  kind: 'local' | 'upstream'
  state: VersionState
  condition: Condition
  problem: string | null
  /** the data folder that has it, or had it */
  library: string | null
  upstream: string | null
  /** its name at the upstream */
  asks: string | null
  /** null: as the model says */
  price: CatalogPrice | null
  createdAt: Date
  registeredAt: Date
  updatedAt: Date
}

/** What a version is, which never changes. */
const FIXED = {
  id: 'id',
  model: 'model',
  number: 'number',
  kind: 'kind',
  upstream: 'upstream',
  asks: 'asks',
  registeredAt: 'registered_at',
}

const CHANGEABLE = {
  state: 'state',
  condition: 'condition',
  problem: 'problem',
  library: 'library',
  digest: 'digest',
  source: 'source',
  sourceRevision: 'source_revision',
  family: 'family',
  precision: 'precision',
  parameters: 'parameters',
  contextLength: 'context_length',
  bytes: 'bytes',
  licence: 'licence',
  price: 'price',
  baseModel: 'base_model',
  trainingData: 'training_data',
  hyperparameters: 'hyperparameters',
  trainingRun: 'training_run',
  changeNote: 'change_note',
  createdBy: 'created_by',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
}

const FIELDS: Record<keyof CatalogVersion, string> = { ...FIXED, ...CHANGEABLE }
const NAMES = Object.keys(FIELDS) as (keyof CatalogVersion)[]
const CHANGEABLE_NAMES = Object.keys(CHANGEABLE) as (keyof typeof CHANGEABLE)[]

/** whole numbers that PostgreSQL would give as texts */
const isBig = (name: string) => name === 'parameters' || name === 'bytes'

const COLUMNS = NAMES.map(
  (name) => `${FIELDS[name]}${isBig(name) ? '::float8' : ''} AS "${name}"`,
).join(', ')

/** An array would be sent as one of PostgreSQL's own. */
function valueOf(version: CatalogVersion, name: keyof CatalogVersion): unknown {
  const value = version[name]
  return Array.isArray(value) ? JSON.stringify(value) : value
}

/** @returns false: there is one of this id already, which stays as it is */
export async function insertVersion(db: Queryable, version: CatalogVersion): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO catalog_versions (${NAMES.map((name) => FIELDS[name]).join(', ')})
     VALUES (${NAMES.map((_, index) => `$${index + 1}`).join(', ')})
     ON CONFLICT DO NOTHING`,
    NAMES.map((name) => valueOf(version, name)),
  )
  return rowCount === 1
}

export async function updateVersion(db: Queryable, version: CatalogVersion): Promise<void> {
  const changes = CHANGEABLE_NAMES.map((name, index) => `${CHANGEABLE[name]} = $${index + 2}`)
  await db.query(`UPDATE catalog_versions SET ${changes.join(', ')} WHERE id = $1`, [
    version.id,
    ...CHANGEABLE_NAMES.map((name) => valueOf(version, name)),
  ])
}

/** Deleted ones too. @param id `model@number` */
export async function findVersion(db: Queryable, id: string): Promise<CatalogVersion | null> {
  const { rows } = await db.query<CatalogVersion>(
    `SELECT ${COLUMNS} FROM catalog_versions WHERE id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** As findVersion, and nobody else changes it before the transaction ends. */
export async function lockVersion(
  transaction: Queryable,
  id: string,
): Promise<CatalogVersion | null> {
  const { rows } = await transaction.query<CatalogVersion>(
    `SELECT ${COLUMNS} FROM catalog_versions WHERE id = $1 FOR UPDATE`,
    [id],
  )
  return rows[0] ?? null
}

/** Newest first. @param before only numbers below it */
export async function listVersions(
  db: Queryable,
  model: string,
  filter: { states: readonly VersionState[]; before: number | null; limit: number },
): Promise<{ rows: CatalogVersion[]; hasMore: boolean }> {
  const { states, before, limit } = filter
  const { rows } = await db.query<CatalogVersion>(
    `SELECT ${COLUMNS} FROM catalog_versions
     WHERE model = $1 AND state = ANY($2) AND ($3::int IS NULL OR number < $3)
     ORDER BY number DESC LIMIT $4`,
    [model, states, before, limit + 1],
  )
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit }
}

/** Of all models, for whoever compares them with folders. */
export async function listAllVersions(db: Queryable): Promise<CatalogVersion[]> {
  const { rows } = await db.query<CatalogVersion>(
    `SELECT ${COLUMNS} FROM catalog_versions ORDER BY id`,
  )
  return rows
}

/** @returns 0 where there are none */
export async function findLastNumber(db: Queryable, model: string): Promise<number> {
  const { rows } = await db.query<{ last: number }>(
    'SELECT coalesce(max(number), 0) AS last FROM catalog_versions WHERE model = $1',
    [model],
  )
  return rows[0]?.last ?? 0
}

/** @returns its id; null: no version of the model has a folder that can be used */
export async function findNewestLocal(db: Queryable, model: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM catalog_versions
     WHERE model = $1 AND kind = 'local' AND state <> 'deleted' AND condition = 'present'
     ORDER BY number DESC LIMIT 1`,
    [model],
  )
  return rows[0]?.id ?? null
}

/** Of one data folder's. */
export async function countBroken(
  db: Queryable,
  library: string,
): Promise<{ damaged: number; missing: number }> {
  const { rows } = await db.query<{ damaged: number; missing: number }>(
    `SELECT count(*) FILTER (WHERE condition = 'damaged')::int AS damaged,
            count(*) FILTER (WHERE condition = 'missing')::int AS missing
     FROM catalog_versions WHERE library = $1 AND state <> 'deleted'`,
    [library],
  )
  return rows[0] ?? { damaged: 0, missing: 0 }
}
