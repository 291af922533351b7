// The table of models that were declared by the admin API: what each name leads to.
//
// Knows: SQL. Does not know: what a declaration says.

import type { Queryable } from './pool.ts'

export interface StoredModel {
  name: string
  declaration: unknown
  createdAt: Date
  updatedAt: Date
}

const COLUMNS = `name, declaration, created_at AS "createdAt", updated_at AS "updatedAt"`

export async function listDeclaredModels(db: Queryable): Promise<StoredModel[]> {
  const { rows } = await db.query<StoredModel>(
    `SELECT ${COLUMNS} FROM declared_models ORDER BY name`,
  )
  return rows
}

export async function findDeclaredModel(db: Queryable, name: string): Promise<StoredModel | null> {
  const { rows } = await db.query<StoredModel>(
    `SELECT ${COLUMNS} FROM declared_models WHERE name = $1`,
    [name],
  )
  return rows[0] ?? null
}

export async function upsertDeclaredModel(
  db: Queryable,
  { name, declaration, createdAt, updatedAt }: StoredModel,
): Promise<void> {
  await db.query(
    `INSERT INTO declared_models (name, declaration, created_at, updated_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (name) DO UPDATE SET declaration = $2, updated_at = $4`,
    [name, JSON.stringify(declaration), createdAt, updatedAt],
  )
}

export async function deleteDeclaredModel(db: Queryable, name: string): Promise<void> {
  await db.query('DELETE FROM declared_models WHERE name = $1', [name])
}
