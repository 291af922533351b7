// A real PostgreSQL for a file of tests: one server, started when the first test asks, a schema of its own for each.

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'

import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { makeFolder } from './folder.ts'
import { recordLog } from './logger.ts'
import { defer, lastingFile } from './lasting.ts'
import type { Connection, Pool } from '../../gateway/db/pool.ts'

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
