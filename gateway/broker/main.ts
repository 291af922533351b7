// A log-writer, made of its parts: in the order in which they depend on each other, and stopped in reverse.
//
// Knows: what there is and in which order. Does not know: where settings come from, signals.

import { openDatabase } from '../db/database.ts'
import { ExchangeTables } from '../db/exchange-tables.ts'
import { LogWriterMetrics } from '../metrics/log-writer-metrics.ts'
import { LogWriter } from './log-writer.ts'
import { listenForProbes } from './log-writer-server.ts'
import type { Logger } from '../logger.ts'
import type { Settings } from '../settings/settings.ts'

export interface LogWriterProcess {
  url: string
  /** Writes what is here, and leaves the rest to the broker. */
  close(): Promise<void>
}

export interface LogWriterProcessOptions {
  brokerUrl: string
  databaseUrl: string
  settings: Pick<Settings, 'dataDir' | 'drainMs' | 'logWriterListen' | 'metricsToken'>
  logger: Logger
  /** ends the wait for a database that is not up yet */
  signal?: AbortSignal
}

/** @throws Error that says what is in the way, with everything undone that was begun */
export async function startLogWriter(options: LogWriterProcessOptions): Promise<LogWriterProcess> {
  const { brokerUrl, databaseUrl, settings, logger, signal } = options
  const { dataDir, drainMs, metricsToken } = settings
  await using started = new AsyncDisposableStack()
  const { pool } = started.use(await openDatabase({ databaseUrl, dataDir, logger, signal }))
  const tables = new ExchangeTables(pool)
  const writer = new LogWriter({ url: brokerUrl, tables, logger })
  started.defer(() => writer.close(drainMs))
  const { hostname, port } = new URL(settings.logWriterListen)
  const server = await listenForProbes({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 80),
    writer,
    metrics: new LogWriterMetrics(writer),
    metricsToken,
  })
  started.defer(() => server.close())
  logger.info({ url: server.url }, 'the log-writer takes exchanges from RabbitMQ')

  const parts = started.move()
  const close = async () => {
    await parts.disposeAsync()
    logger.info({ exchanges: writer.written }, 'the log-writer has stopped')
  }
  return { url: server.url, close }
}
