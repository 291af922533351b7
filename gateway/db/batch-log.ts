// Writes rows to one table of PostgreSQL off the request path: in batches, in the order in which they came.
//
// One batch is under way at a time. While PostgreSQL is away, rows wait in memory, bounded in number and bytes, and are
// tried again until it returns; when there is no room, the newest are dropped and counted. A batch that PostgreSQL
// refuses is halved until the row at fault stands alone, which is logged and given up. A batch may be written again when
// its answer was lost: the statement has to leave rows alone that are there already.
//
// Knows: rows as JSON text, time, what PostgreSQL's errors mean. Does not know: requests, tables, columns.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { isRefusal } from './refusal.ts'
import type { Queryable } from './pool.ts'
import type { Logger } from '../logger.ts'

export interface BatchLogOptions {
  /** what the log calls it: "the exchange log" */
  name: string
  insert: (db: Queryable, rows: string[]) => Promise<void>
  db: Queryable
  logger: Logger
  /** rows and bytes that may wait */
  maxRows?: number
  maxBytes?: number
  /** rows wait this long for others to be written with */
  lingerMs?: number
  /** the first of the waits between attempts; each is twice as long as the one before */
  retryMs?: number
}

/** A crash loses what lingers: a fifth of a second of rows, against five statements a second at any load. */
const LINGER_MS = 200
/** About an hour of a busy gateway's rows, and no more memory than a gateway can spare. */
const MAX_ROWS = 100_000
const MAX_BYTES = 256 * 1024 * 1024
/** Large enough that the statement's own cost vanishes, small enough that joining it blocks nobody. */
const BATCH_ROWS = 500
const BATCH_BYTES = 4 * 1024 * 1024
const RETRY_MS = 100
const MAX_RETRY_MS = 5_000
/** between two lines about rows that are dropped */
const COMPLAINT_MS = 30_000

interface Row {
  id: string
  json: string
}

export class BatchLog {
  readonly #options: Required<BatchLogOptions>
  #rows: Row[] = []
  #bytes = 0
  #dropped = 0
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> | null = null
  readonly #giveUp = new AbortController()
  #isClosed = false
  #complainedMs = -Infinity

  constructor(options: BatchLogOptions) {
    this.#options = {
      maxRows: MAX_ROWS,
      maxBytes: MAX_BYTES,
      lingerMs: LINGER_MS,
      retryMs: RETRY_MS,
      ...options,
    }
  }

  /** rows that are not in PostgreSQL yet */
  get pending(): number {
    return this.#rows.length
  }

  /** rows that never will be */
  get dropped(): number {
    return this.#dropped
  }

  /** @param id of the exchange, for log lines */
  append(id: string, json: string): void {
    const { maxRows, maxBytes, lingerMs } = this.#options
    const hasRoom = this.#rows.length < maxRows && this.#bytes + json.length <= maxBytes
    if (this.#isClosed || !hasRoom) return this.#drop(id)

    this.#rows.push({ id, json })
    this.#bytes += json.length
    if (this.#rows.length >= BATCH_ROWS || this.#bytes >= BATCH_BYTES) this.#start()
    else this.#timer ??= setTimeout(() => this.#start(), lingerMs).unref()
  }

  /** Resolves when nothing waits any more, whether it was written or given up. */
  async flush(): Promise<void> {
    this.#start()
    await this.#writing
  }

  /** Writes what waits, for as long as that; what is left then is lost, and the log says so. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true
    const late = AbortSignal.timeout(deadlineMs)
    late.addEventListener('abort', () => this.#giveUp.abort())
    await Promise.race([this.flush(), once(late, 'abort')])
    this.#giveUp.abort()
    const lost = this.#rows.length
    if (lost === 0) return
    this.#take(lost)
    this.#dropped += lost
    this.#options.logger.error({ lost }, `${this.#options.name} ended before all of it was written`)
  }

  #start(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing ??= this.#write().finally(() => (this.#writing = null))
  }

  async #write(): Promise<void> {
    const { db, logger, retryMs, name, insert } = this.#options
    let waitMs = retryMs
    let isAway = false
    let mostRows = BATCH_ROWS
    while (this.#rows.length > 0 && !this.#giveUp.signal.aborted) {
      const batch = this.#nextBatch(mostRows)
      try {
        await insert(db, batch)
        this.#take(batch.length)
        mostRows = Math.min(2 * mostRows, BATCH_ROWS)
        if (isAway) logger.info({}, `PostgreSQL is back; ${name} is being written`)
        isAway = false
        waitMs = retryMs
      } catch (error) {
        if (isRefusal(error)) {
          if (batch.length > 1) mostRows = batch.length >> 1
          else this.#giveUpFirst(error)
          continue
        }
        const context = { err: error, pending: this.#rows.length }
        if (!isAway) logger.warn(context, `${name} waits for PostgreSQL`)
        isAway = true
        await sleep(waitMs, undefined, { signal: this.#giveUp.signal }).catch(() => {})
        waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)
      }
    }
  }

  #nextBatch(mostRows: number): string[] {
    let bytes = 0
    const end = this.#rows.findIndex(({ json }, index) => {
      bytes += json.length
      return index > 0 && (index >= mostRows || bytes > BATCH_BYTES)
    })
    return this.#rows.slice(0, end < 0 ? undefined : end).map(({ json }) => json)
  }

  #giveUpFirst(error: unknown): void {
    const { logger, name } = this.#options
    const context = { err: error, exchange: this.#rows[0]?.id }
    logger.error(context, `PostgreSQL refused the row of an exchange in ${name}`)
    this.#dropped++
    this.#take(1)
  }

  #take(count: number): void {
    for (const { json } of this.#rows.splice(0, count)) this.#bytes -= json.length
  }

  #drop(id: string): void {
    this.#dropped++
    const now = performance.now()
    if (now - this.#complainedMs < COMPLAINT_MS) return
    this.#complainedMs = now
    const { logger, name } = this.#options
    const context = { exchange: id, dropped: this.#dropped, pending: this.#rows.length }
    logger.error(context, `${name} is full: new rows are dropped`)
  }
}
