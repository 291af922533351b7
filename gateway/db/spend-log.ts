// Spend on its way to PostgreSQL, and the roll-up that follows it there.

import { BatchLog } from './batch-log.ts'
import { insertSpend, rollUpSpend, sumSpend } from './spend.ts'
import type { BatchLogOptions } from './batch-log.ts'
import type { Pool } from './pool.ts'
import type { SpendQuestion, SpendRow, SpendTotal } from './spend.ts'

export interface SpendLogOptions extends Omit<BatchLogOptions, 'name' | 'insert' | 'db'> {
  db: Pool
  rollUpMs?: number
}

/** An hour's rows are summed anew each time: at 500 requests a second that is a second of work in five minutes. */
const ROLL_UP_MS = 5 * 60_000

export class SpendLog {
  readonly #log: BatchLog
  readonly #options: SpendLogOptions
  readonly #timer: NodeJS.Timeout
  #rollingUp: Promise<void> | null = null

  constructor(options: SpendLogOptions) {
    const { rollUpMs = ROLL_UP_MS, ...rest } = options
    this.#options = options
    this.#log = new BatchLog({ name: 'the spend log', insert: insertSpend, ...rest })
    this.#timer = setInterval(() => void this.rollUp(), rollUpMs).unref()
  }

  /** rows that are not in PostgreSQL yet */
  get pending(): number {
    return this.#log.pending
  }

  /** rows that never will be */
  get dropped(): number {
    return this.#log.dropped
  }

  append(row: SpendRow): void {
    this.#log.append(row.exchangeId, JSON.stringify(row))
  }

  /** What PostgreSQL knows of; what is pending isn't in it. @throws where it is away */
  totals(questions: SpendQuestion[]): Promise<SpendTotal[]> {
    return sumSpend(this.#options.db, questions)
  }

  /** Never throws: what fails is done the next time. */
  async rollUp(): Promise<void> {
    this.#rollingUp ??= rollUpSpend(this.#options.db)
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'spend could not be rolled up; it is tried again')
      })
      .finally(() => (this.#rollingUp = null))
    await this.#rollingUp
  }

  /** Resolves when nothing waits any more, whether it was written or given up. */
  flush(): Promise<void> {
    return this.#log.flush()
  }

  async close(deadlineMs: number): Promise<void> {
    clearInterval(this.#timer)
    await this.#log.close(deadlineMs)
    await this.#rollingUp
  }
}
