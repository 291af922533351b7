// The exchange log with all that works on it: where it is written, whose words are indexed, what is dropped when its time is
// over.

import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'

import { Publisher } from '../broker/publisher.ts'
import { brokerSink } from '../broker/sink.ts'
import { createIndexTables } from '../db/exchange-index.ts'
import { requireLanguage } from '../db/exchange-words.ts'
import { ExchangeLog, postgresSink } from './exchange-log.ts'
import { indexWrittenWords } from './indexer.ts'
import { Keeper } from './keeper.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { Settings } from '../settings/settings.ts'

export interface OpenLogOptions {
  settings: Pick<
    Settings,
    | 'dataDir'
    | 'brokerUrl'
    | 'spoolMaxBytes'
    | 'searchLanguage'
    | 'logRetentionDays'
    | 'logBodiesRetentionDays'
  >
  pool: Pool
  logger: Logger
}

export interface OpenedLog {
  exchangeLog: ExchangeLog
  /** Writes what waits, as far as PostgreSQL takes it within a few seconds. */
  close(): Promise<void>
}

/** PostgreSQL that is away at the end gets this long to come back. */
const LOG_DEADLINE_MS = 5_000

/** @throws where the folder can't be used, or the language of searches isn't there */
export async function openExchangeLog(options: OpenLogOptions): Promise<OpenedLog> {
  const { settings, pool, logger } = options
  const { dataDir, brokerUrl, searchLanguage, logRetentionDays, logBodiesRetentionDays } = settings
  await using opened = new AsyncDisposableStack()
  const publisher = brokerUrl === null ? null : new Publisher({ url: brokerUrl, logger })
  if (publisher) opened.defer(() => publisher.close())
  const exchangeLog = await ExchangeLog.open({
    folder: join(dataDir, 'spool'),
    maxBytes: settings.spoolMaxBytes,
    sink: publisher ? brokerSink(publisher) : postgresSink(pool),
    logger,
  })
  opened.defer(() => exchangeLog.close(LOG_DEADLINE_MS))
  await requireLanguage(pool, searchLanguage)
  const indexer = {
    tables: createIndexTables(pool, searchLanguage),
    pending: () => exchangeLog.pending,
    load: () => (loadavg()[0] ?? 0) / availableParallelism(),
    logger,
  }
  opened.defer(indexWrittenWords(indexer))
  const keeper = new Keeper({
    pool,
    retentionDays: logRetentionDays,
    bodiesRetentionDays: logBodiesRetentionDays,
    logger,
  })
  keeper.start()
  opened.defer(() => keeper.close())
  const parts = opened.move()
  return { exchangeLog, close: () => parts.disposeAsync() }
}
