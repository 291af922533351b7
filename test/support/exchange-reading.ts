// A gateway over a real exchange log: what a test appends is in its tables, and its admin API reads it.

import type { TestContext } from 'node:test'

import { createIndexTables } from '../../gateway/db/exchange-index.ts'
import { indexWrittenWords } from '../../gateway/exchange-log/indexer.ts'
import { startAdmin } from './admin.ts'
import { exchangeRecord } from './exchange-record.ts'
import { openExchangeLog } from './exchange-log.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'
import type { TestPostgres } from './postgres.ts'

export async function startReading(
  t: TestContext,
  postgres: TestPostgres,
  { searchLanguage = 'simple' } = {},
) {
  const pool = await postgres.pool(t)
  const { log } = await openExchangeLog(t, pool)
  const admin = await startAdmin(t, pool, { settings: { searchLanguage } })
  const { logger, lines } = recordLog()
  /** @returns their ids */
  const write = async (...changes: Partial<ExchangeRecord>[]): Promise<string[]> => {
    const records = changes.map((change) => exchangeRecord(change))
    for (const record of records) log.append(record)
    await log.flush()
    return records.map(({ id }) => id)
  }
  /** Resolves when there is nothing left to index. */
  const indexWords = async (language = searchLanguage) => {
    const stop = indexWrittenWords({
      tables: createIndexTables(pool, language),
      pending: () => 0,
      load: () => 0,
      logger,
      pollMs: 5,
    })
    defer(t, stop)
    for (;;) {
      const { rows } = await pool.query('SELECT FROM exchange_arrivals WHERE NOT is_indexed')
      if (rows.length === 0) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await stop()
  }
  return { ...admin, pool, write, indexWords, warnings: lines }
}
