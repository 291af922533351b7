// Brings the tables up to date: numbered SQL files, forward only.
//
// All files that the database has not seen run in one transaction under an advisory lock: several gateways may start at
// once, and whatever fails leaves nothing behind. A file that ran once is never edited: its checksum is kept beside its
// number, and a difference stops the start instead of leaving two databases that only claim to be alike.
//
// Adding a migration: the next number, a first line that says why.

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { isAway } from './away.ts'
import type { PoolClient } from 'pg'

import type { Pool } from './pool.ts'

export const MIGRATIONS_FOLDER = join(import.meta.dirname, 'migrations')

/** any number, the same in every gateway: "headrace" in ASCII */
const LOCK = '7522525836635890533'

/** A large table takes its time, and so does another gateway that is at it. */
const PATIENCE_MS = 24 * 3_600_000

interface Migration {
  /** file name: `0001-api-keys.sql` */
  name: string
  sql: string
  checksum: string
}

export class MigrationError extends Error {
  override name = 'MigrationError'
}

/**
 * @returns names of the files that ran now
 * @throws MigrationError where the database and the files do not belong together, or a file fails
 */
export async function migrate(pool: Pool, folder = MIGRATIONS_FOLDER): Promise<string[]> {
  const migrations = await readMigrations(folder)
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query(unhurried(`SELECT pg_advisory_xact_lock(${LOCK})`))
    const ran = await runMissing(client, migrations)
    await client.query('COMMIT')
    client.release()
    return ran
  } catch (error) {
    // Ending the connection rolls back too, and works in whatever state it is.
    client.release(true)
    throw error
  }
}

async function runMissing(client: PoolClient, migrations: Migration[]): Promise<string[]> {
  await client.query(`
    CREATE TABLE IF NOT EXISTS schema_migrations (
      name text PRIMARY KEY,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`)
  const { rows: applied } = await client.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM schema_migrations ORDER BY name',
  )
  for (const { name, checksum } of applied) {
    const migration = migrations.find((known) => known.name === name)
    if (!migration) {
      throw new MigrationError(
        `The database was brought up to ${name} by a newer release; this one knows only ` +
          `${migrations.at(-1)?.name ?? 'no migration'}. Start that release, or give this one another database.`,
      )
    }
    if (migration.checksum !== checksum) {
      throw new MigrationError(
        `The migration ${name} is not what ran on this database: its checksum is ` +
          `${migration.checksum}, and was ${checksum}. Migrations are never edited; restore the file.`,
      )
    }
  }

  const missing = migrations.filter(({ name }) => !applied.some((row) => row.name === name))
  for (const { name, sql, checksum } of missing) {
    try {
      await client.query(unhurried(sql))
    } catch (error) {
      // Whoever waits for PostgreSQL tries again: nothing was done.
      if (isAway(error)) throw error
      throw new MigrationError(`The migration ${name} failed: ${String(error)}`, { cause: error })
    }
    await client.query('INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)', [
      name,
      checksum,
    ])
  }
  return missing.map(({ name }) => name)
}

/** A pool's queries have to be done soon; these have not. */
const unhurried = (text: string) => ({ text, query_timeout: PATIENCE_MS })

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}-.+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}
