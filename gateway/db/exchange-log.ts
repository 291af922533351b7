// The exchange log: every exchange's record, on its way to PostgreSQL.

import { BatchLog } from './batch-log.ts'
import { encodeExchange, insertExchanges } from './exchanges.ts'
import type { BatchLogOptions } from './batch-log.ts'
import type { ExchangeRecord } from '../exchange.ts'

export type ExchangeLogOptions = Omit<BatchLogOptions, 'name' | 'insert'>

export class ExchangeLog {
  readonly #log: BatchLog

  constructor(options: ExchangeLogOptions) {
    this.#log = new BatchLog({ name: 'the exchange log', insert: insertExchanges, ...options })
  }

  /** rows that are not in PostgreSQL yet */
  get pending(): number {
    return this.#log.pending
  }

  /** rows that never will be */
  get dropped(): number {
    return this.#log.dropped
  }

  append(record: ExchangeRecord): void {
    this.#log.append(record.id, encodeExchange(record))
  }

  /** Resolves when nothing waits any more, whether it was written or given up. */
  flush(): Promise<void> {
    return this.#log.flush()
  }

  /** Writes what waits, for as long as that; what is left then is lost, and the log says so. */
  close(deadlineMs: number): Promise<void> {
    return this.#log.close(deadlineMs)
  }
}
