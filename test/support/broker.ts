// An exchange log that goes over a broker: a queue of the test's own, its gateways, its log-writers, its tables.

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'

import { LogWriter } from '../../gateway/broker/log-writer.ts'
import { Publisher } from '../../gateway/broker/publisher.ts'
import { brokerSink } from '../../gateway/broker/sink.ts'
import { ExchangeTables } from '../../gateway/db/exchange-tables.ts'
import { openExchangeLog } from './exchange-log.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { LogWriterOptions } from '../../gateway/broker/log-writer.ts'
import type { PublisherOptions } from '../../gateway/broker/publisher.ts'
import type { Pool } from '../../gateway/db/pool.ts'

export async function openBrokered(
  t: TestContext,
  pool: Pool,
  { url }: { url: string },
  changes: Partial<PublisherOptions> = {},
) {
  const { logger, lines, messages } = recordLog()
  const broker = { url, logger, queue: `test.${randomBytes(6).toString('hex')}` }
  const publisher = new Publisher({ ...broker, ...changes })
  defer(t, () => publisher.close())
  const opened = await openExchangeLog(t, pool, { sink: brokerSink(publisher), logger })
  const startWriter = (options: Partial<LogWriterOptions> = {}) => {
    const tables = new ExchangeTables(pool)
    const writer = new LogWriter({ ...broker, tables, retryMs: 5, ...options })
    defer(t, () => writer.close(0))
    return writer
  }
  return { ...opened, lines, messages, ...broker, publisher, startWriter }
}
