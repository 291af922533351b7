// An exchange log of a test: its spool in a folder that goes with the test, its tables in a database of its own.

import type { TestContext } from 'node:test'

import { migrate } from '../../gateway/db/migrate.ts'
import { ExchangeLog, postgresSink } from '../../gateway/exchange-log/exchange-log.ts'
import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { ExchangeLogOptions } from '../../gateway/exchange-log/exchange-log.ts'
import type { Pool } from '../../gateway/db/pool.ts'

export async function openExchangeLog(
  t: TestContext,
  pool: Pool,
  options: Partial<ExchangeLogOptions> = {},
) {
  await migrate(pool)
  const folder = options.folder ?? (await makeFolder(t))
  const { logger, lines, messages } = recordLog()
  const open = async (changes: Partial<ExchangeLogOptions> = {}) => {
    const log = await ExchangeLog.open({
      folder,
      maxBytes: 1e9,
      sink: postgresSink(pool),
      logger,
      lingerMs: 5,
      retryMs: 5,
      ...options,
      ...changes,
    })
    defer(t, () => log.close(0))
    return log
  }
  const countRows = async () => {
    const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int FROM exchanges')
    return rows[0]!.count
  }
  return { folder, log: await open(), open, lines, messages, countRows }
}
