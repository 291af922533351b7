// A log-writer as metrics, read when scraped.

import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'

export interface LogWriterSource {
  readonly written: number
  readonly batches: number
  readonly refused: number
  readonly pending: number
  readonly isConnected: boolean
  readonly isWriting: boolean
}

type Figure = [name: string, help: string, read: (writer: LogWriterSource) => number]

const COUNTERS: Figure[] = [
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

const GAUGES: Figure[] = [
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
    for (const [name, help, read] of COUNTERS) {
      new Counter({
        name: `headrace_log_writer_${name}`,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(read(writer))
        },
      })
    }
    for (const [name, help, read] of GAUGES) {
      new Gauge({
        name: `headrace_log_writer_${name}`,
        help,
        registers,
        collect() {
          this.set(read(writer))
        },
      })
    }
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
