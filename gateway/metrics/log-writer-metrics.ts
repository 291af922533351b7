// A log-writer as metrics, read when scraped.

import { collectDefaultMetrics, Registry } from 'prom-client'

import { exposeFigures } from './figures.ts'
import type { Figure } from './figures.ts'

export interface LogWriterSource {
  readonly written: number
  readonly batches: number
  readonly refused: number
  readonly pending: number
  readonly isConnected: boolean
  readonly isWriting: boolean
}

const COUNTERS: Figure<LogWriterSource>[] = [
  [
    'exchanges_total',
    'Exchanges that were written, those included that were there already.',
    ({ written }) => written,
  ],
  ['batches_total', 'Transactions that they were written in.', ({ batches }) => batches],
  [
    'refused_total',
    'Exchanges and messages that can not be written and went to the dead-letter queue. Anything above zero is lost accounting until somebody looks there.',
    ({ refused }) => refused,
  ],
]

const GAUGES: Figure<LogWriterSource>[] = [
  [
    'pending',
    'Exchanges in memory. Large for long: PostgreSQL is away or too slow; how many are behind them is for the broker to say.',
    ({ pending }) => pending,
  ],
  ['broker_up', '1 while there is a connection to the broker.', (w) => Number(w.isConnected)],
  ['database_up', '1 while PostgreSQL takes what is written.', (w) => Number(w.isWriting)],
]

export class LogWriterMetrics {
  readonly #registry = new Registry()
  readonly contentType = this.#registry.contentType

  constructor(writer: LogWriterSource) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    exposeFigures(registers, writer, {
      prefix: 'headrace_log_writer_',
      gauges: GAUGES,
      counters: COUNTERS,
    })
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
