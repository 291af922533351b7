// A real PostgreSQL for a file of tests: one server, started when the first test asks, a schema of its own for each.
// And one of a test's own, for the test that stops it.

import { randomBytes } from 'node:crypto'
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { makeFolder } from './folder.ts'
import { recordLog } from './logger.ts'
import { defer, lastingFile } from './lasting.ts'
import type { Connection, Pool } from '../../gateway/db/pool.ts'
import type { Lasting } from './lasting.ts'

export interface TestPostgres {
  /** connections to an empty schema, closed and dropped with the test */
  pool(t: TestContext): Promise<Pool>
}

/** At the top of a file of tests. */
export function usePostgres(): TestPostgres {
  const { logger } = recordLog()
  let starting: Promise<EmbeddedPostgres> | null = null

  const start = async () => {
    const dataDir = await makeFolder(lasting)
    const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
    defer(lasting, () => server.stop())
    return server
  }
  const lasting = lastingFile()

  return {
    async pool(t) {
      const server = await (starting ??= start())
      const schema = `test_${randomBytes(6).toString('hex')}`
      const options = `-c search_path=${schema}`
      const connection: Connection = { ...server.connection, options }
      const pool = createPool(connection, logger)
      await pool.query(`CREATE SCHEMA ${schema}`)
      defer(t, async () => {
        await pool.query(`DROP SCHEMA ${schema} CASCADE`)
        await pool.end()
      })
      return pool
    },
  }
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
