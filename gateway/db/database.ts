// The database, open and up to date: the operator's own where DATABASE_URL names one, else the embedded one.

import { setTimeout as sleep } from 'node:timers/promises'

import { isAway } from './away.ts'
import { EmbeddedPostgres } from './embedded.ts'
import { migrate, MigrationError } from './migrate.ts'
import { createPool } from './pool.ts'
import type { Connection, Pool } from './pool.ts'
import type { Logger } from '../logger.ts'

export interface DatabaseOptions {
  /** null: the embedded one of the data folder, whose lock the caller holds */
  databaseUrl: string | null
  dataDir: string
  logger: Logger
  /** ends the wait for a database that is not up yet */
  signal?: AbortSignal
}

export interface Database extends AsyncDisposable {
  pool: Pool
}

/** Containers that are started together are not up together; longer than this, something is wrong. */
const PATIENCE_MS = 15_000
const RETRY_MS = 500

/** @throws Error that says what is in the way, without the password */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { databaseUrl, dataDir, logger } = options
  if (databaseUrl !== null) {
    return openWhenReachable(databaseUrl, options)
  }
  await using started = new AsyncDisposableStack()
  const embedded = await EmbeddedPostgres.start({ dataDir, logger })
  started.defer(() => embedded.stop())
  const { pool } = started.use(await openPool(embedded.connection, logger))
  const parts = started.move()
  return { pool, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** To a server that somebody else started. */
export async function openPool(connection: Connection, logger: Logger): Promise<Database> {
  const pool = createPool(connection, logger)
  try {
    const ran = await migrate(pool)
    if (ran.length > 0) logger.info({ migrations: ran }, 'the tables are up to date')
  } catch (error) {
    await pool.end()
    throw error
  }
  return { pool, [Symbol.asyncDispose]: () => pool.end() }
}

/** It may go away while the tables are brought up to date too: that is one transaction, which can be tried again. */
async function openWhenReachable(
  databaseUrl: string,
  { logger, signal }: DatabaseOptions,
): Promise<Database> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await openPool({ connectionString: databaseUrl }, logger)
    } catch (error) {
      if (error instanceof MigrationError) throw error
      const reason = reasonOf(error)
      if (performance.now() > deadline || !isAway(error)) {
        throw new Error(`PostgreSQL at ${mask(databaseUrl)} can't be used: ${reason}.`, {
          cause: error,
        })
      }
      logger.warn({ reason }, 'waiting for PostgreSQL')
      await sleep(RETRY_MS, undefined, { signal })
    }
  }
}

function reasonOf(error: unknown): string {
  // Where a name has several addresses, what went wrong with each is in `errors`, and `message` is empty.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}

function mask(databaseUrl: string): string {
  const url = URL.parse(databaseUrl)
  if (!url) return 'DATABASE_URL'
  if (url.password) url.password = '***'
  url.search = ''
  return url.href
}
