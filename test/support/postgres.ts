// A real PostgreSQL for a file of tests: a database of its own for each test, on the run's server or the file's.
// And a server of a test's own, for the test that stops it.

import { randomBytes } from 'node:crypto'
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { makeFolder } from './folder.ts'
import { recordLog } from './logger.ts'
import { defer, lastingFile } from './lasting.ts'
import { reachServer, TEMPLATE } from './postgres-server.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { Lasting } from './lasting.ts'

export interface TestPostgres {
  /**
   * Connections to a database with all tables and nothing in them, closed and dropped with the test.
   *
   * @param isEmpty without the tables
   */
  pool(t: TestContext, options?: { isEmpty?: boolean }): Promise<Pool>
}

/** At the top of a file of tests. */
export function usePostgres(): TestPostgres {
  const { logger } = recordLog()
  let reaching: ReturnType<typeof reach> | null = null
  const lasting = lastingFile()

  const reach = async () => {
    const connection = await reachServer(lasting)
    const admin = createPool(connection, logger)
    defer(lasting, () => admin.end())
    return { connection, admin }
  }

  return {
    async pool(t, { isEmpty = false } = {}) {
      const { connection, admin } = await (reaching ??= reach())
      const database = `test_${randomBytes(6).toString('hex')}`
      await admin.query(`CREATE DATABASE ${database} TEMPLATE ${isEmpty ? 'template0' : TEMPLATE}`)
      // Forced: what a test left behind (a listener, a thread that copies) must not keep it.
      defer(t, async () => {
        await admin.query(`DROP DATABASE ${database} WITH (FORCE)`)
      })
      const pool = createPool({ ...connection, database }, logger)
      defer(t, () => pool.end())
      return pool
    },
  }
}

/** For a process of the test's own, as DATABASE_URL. */
export function databaseUrlOf({ options }: Pool): string {
  const { host, port, user, password, database } = options
  const query = new URLSearchParams({ host: host!, port: String(port) })
  return `postgresql://${user}:${String(password)}@/${database}?${query.toString()}`
}

export interface StoppingPostgres {
  /** connections to it, also when it is back: its address stays */
  pool: Pool
  stop(): Promise<void>
  startAgain(): Promise<void>
}

/** A server of the test's own that can stop and come back, with what it had. */
export async function startStoppingPostgres(t: Lasting): Promise<StoppingPostgres> {
  const { logger } = recordLog()
  const dataDir = await makeFolder(t)
  // Its socket lies elsewhere each time; the pool is told of a link to it.
  const host = join(await makeFolder(t), 'socket')
  const start = async () => {
    const started = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
    await rm(host, { force: true })
    await symlink(started.connection.host!, host)
    return started
  }
  let server = await start()
  defer(t, () => server.stop())
  const pool = createPool({ ...server.connection, host }, logger)
  defer(t, () => pool.end())
  return {
    pool,
    stop: () => server.stop(),
    async startAgain() {
      server = await start()
    },
  }
}
