// The table of models in the catalog: what each is for, whose it is, what it may cost.
//
// Knows: SQL. Does not know: versions, HTTP.

import type { Queryable } from './pool.ts'

/** US dollars for a million tokens, in the wire's words; `second` for a second of computing. */
export interface CatalogPrice {
  input: number
  cached_input?: number
  output: number
  second?: number
}

/** What callers should know, in the wire's words. */
export interface CatalogLimits {
  context_tokens?: number
  output_tokens?: number
  requests_per_minute?: number
  concurrent_requests?: number
}

export interface CatalogModel {
  name: string
  /** `chat`, `embeddings`, `rerank`, … */
  task: string | null
  owner: string | null
  /** Markdown, as the three further texts are */
  description: string | null
  intendedUse: string | null
  userGuide: string | null
  knownIssues: string | null
  licence: string | null
  tags: Record<string, string>
  price: CatalogPrice | null
  limits: CatalogLimits
  createdAt: Date
  createdBy: string
  updatedAt: Date
}

/** With what a list says of its versions. */
export interface ListedModel extends CatalogModel {
  versions: number
  /** the newest that is ready, as a number; null: none is */
  newestReady: number | null
}

const COLUMNS = `name, task, owner, description, intended_use AS "intendedUse", user_guide AS "userGuide",
  known_issues AS "knownIssues", licence, tags, price, limits,
  created_at AS "createdAt", created_by AS "createdBy", updated_at AS "updatedAt"`

/** @returns false: there is one of this name already, which stays as it is */
export async function insertCatalogModel(db: Queryable, model: CatalogModel): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO catalog_models
       (name, task, owner, description, intended_use, user_guide, known_issues, licence, tags, price, limits,
        created_at, created_by, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
     ON CONFLICT (name) DO NOTHING`,
    [...changeable(model), model.createdAt, model.createdBy, model.updatedAt],
  )
  return rowCount === 1
}

export async function updateCatalogModel(db: Queryable, model: CatalogModel): Promise<void> {
  await db.query(
    `UPDATE catalog_models SET task = $2, owner = $3, description = $4, intended_use = $5, user_guide = $6,
       known_issues = $7, licence = $8, tags = $9, price = $10, limits = $11, updated_at = $12
     WHERE name = $1`,
    [...changeable(model), model.updatedAt],
  )
}

function changeable(model: CatalogModel): unknown[] {
  const { name, task, owner, description, intendedUse, userGuide, knownIssues } = model
  const { licence, tags, price, limits } = model
  const texts = [name, task, owner, description, intendedUse, userGuide, knownIssues, licence]
  return [...texts, tags, price, limits]
}

export async function findCatalogModel(db: Queryable, name: string): Promise<CatalogModel | null> {
  const { rows } = await db.query<CatalogModel>(
    `SELECT ${COLUMNS} FROM catalog_models WHERE name = $1`,
    [name],
  )
  return rows[0] ?? null
}

/**
 * Takes a model away, with its notes and requirements.
 * @returns false: it has, or had, versions, whose ids are in the log, and stays
 */
export async function deleteCatalogModel(transaction: Queryable, name: string): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `WITH lone AS (
       SELECT name FROM catalog_models
       WHERE name = $1 AND NOT EXISTS (SELECT FROM catalog_versions WHERE model = name)
     ), notes AS (
       DELETE FROM catalog_notes USING lone WHERE model = lone.name
     ), requirements AS (
       DELETE FROM model_requirements USING lone WHERE model = lone.name
     )
     DELETE FROM catalog_models USING lone WHERE catalog_models.name = lone.name`,
    [name],
  )
  return rowCount === 1
}

/** For whoever misspelt one. @param limit of them at most */
export async function listModelNames(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    'SELECT name FROM catalog_models ORDER BY name LIMIT $1',
    [limit],
  )
  return rows.map(({ name }) => name)
}

/** As findCatalogModel, and nobody else changes it, or numbers a version of it, before the transaction ends. */
export async function lockCatalogModel(
  transaction: Queryable,
  name: string,
): Promise<CatalogModel | null> {
  const { rows } = await transaction.query<CatalogModel>(
    `SELECT ${COLUMNS} FROM catalog_models WHERE name = $1 FOR NO KEY UPDATE`,
    [name],
  )
  return rows[0] ?? null
}

/** In the order of names. @param after the last name of the page before */
export async function listCatalogModels(
  db: Queryable,
  { after, limit }: { after: string | null; limit: number },
): Promise<{ rows: ListedModel[]; hasMore: boolean }> {
  const { rows } = await db.query<ListedModel>(
    `SELECT ${COLUMNS}, coalesce(versions, 0) AS versions, newest AS "newestReady"
     FROM catalog_models LEFT JOIN LATERAL (
       SELECT count(*)::int AS versions, max(number) FILTER (WHERE state = 'ready') AS newest
       FROM catalog_versions WHERE model = name AND state <> 'deleted'
     ) AS counted ON true
     WHERE $1::text IS NULL OR name > $1
     ORDER BY name LIMIT $2`,
    [after, limit + 1],
  )
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit }
}
