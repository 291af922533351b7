// Takes exchanges from the spool and has them written, in batches, in the order in which they came.
//
// One batch is under way at a time. While whoever writes is away, exchanges wait in the spool and are tried again until
// it returns. A batch that is refused for what is in it is halved until the exchange at fault stands alone; that one is
// told to the log, kept apart, and the others go on.
//
// Knows: batches, time. Does not know: SQL, files, requests.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Batch, Spool } from './spool.ts'
import type { Logger } from '../logger.ts'

/** Where exchanges go: tables, or a broker. */
export interface Sink {
  /** what the log calls it: "PostgreSQL" */
  readonly name: string
  /** Resolves when they are safe there, each of them once. */
  write(batch: Pick<Batch, 'heading' | 'payloads' | 'isSuspect'>): Promise<void>
  /** Whether it is for what was in the batch that it was not written, so that trying again is of no use. */
  isRefusal(error: unknown): boolean
}

export interface WriterOptions {
  spool: Spool
  sink: Sink
  /** keeps what can't be written; @returns where */
  setAside(payload: Buffer, heading: string): Promise<string>
  logger: Logger
  /** exchanges wait this long for others to be written with */
  lingerMs?: number
  /** the first of the waits between attempts; each is twice as long as the one before */
  retryMs?: number
}

/** Nothing is lost in it; rows are in the tables that much later. */
const LINGER_MS = 200
/** Large enough that a transaction's own cost vanishes, small enough that taking it apart blocks nobody. */
const BATCH_RECORDS = 500
/** More than this waits for nobody. */
const WORTH_BYTES = 256 * 1024
const RETRY_MS = 100
const MAX_RETRY_MS = 5_000

export class Writer {
  readonly #options: Required<WriterOptions>
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> | null = null
  readonly #giveUp = new AbortController()
  #refused = 0

  constructor(options: WriterOptions) {
    this.#options = { lingerMs: LINGER_MS, retryMs: RETRY_MS, ...options }
  }

  /** exchanges that can't be written, whatever is tried */
  get refused(): number {
    return this.#refused
  }

  /** There is something to write. */
  wake(): void {
    if (this.#writing || this.#timer || this.#giveUp.signal.aborted) return
    this.#timer = setTimeout(() => this.#start(), this.#options.lingerMs).unref()
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    while (!this.#giveUp.signal.aborted && !this.#options.spool.isEmpty) {
      this.#start()
      await this.#writing
    }
  }

  /** Writes what waits, for as long as that. */
  async close(deadlineMs: number): Promise<void> {
    const late = AbortSignal.timeout(deadlineMs)
    late.addEventListener('abort', () => this.#giveUp.abort())
    await Promise.race([this.flush(), once(late, 'abort')])
    this.#giveUp.abort()
    if (this.#timer) clearTimeout(this.#timer)
  }

  #start(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
      // What came at the very end would wait for the next one to come.
      if (!this.#options.spool.isEmpty) this.wake()
    })
  }

  async #write(): Promise<void> {
    const { spool, sink, logger, retryMs } = this.#options
    let waitMs = retryMs
    let isAway = false
    let mostRecords = BATCH_RECORDS
    while (!this.#giveUp.signal.aborted) {
      let batch: Batch | null = null
      try {
        batch = await spool.next(mostRecords)
        if (!batch) return
        await sink.write(batch)
        await batch.drained(batch.payloads.length)
        if (isAway) logger.info({}, `${sink.name} is back; the exchange log is being written`)
        isAway = false
        waitMs = retryMs
        // The next ones wait for others to be written with.
        if (spool.waitingBytes < WORTH_BYTES) return
        mostRecords = Math.min(2 * mostRecords, BATCH_RECORDS)
      } catch (error) {
        if (batch && sink.isRefusal(error)) {
          if (batch.payloads.length > 1) mostRecords = batch.payloads.length >> 1
          else await this.#refuse(batch, error)
          continue
        }
        const context = { err: error, pending: spool.pending }
        if (!isAway) logger.warn(context, `the exchange log waits for ${sink.name}`)
        isAway = true
        await sleep(waitMs, undefined, { signal: this.#giveUp.signal }).catch(() => {})
        waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)
      }
    }
  }

  async #refuse({ heading, payloads, drained }: Batch, error: unknown): Promise<void> {
    const { setAside, sink, logger } = this.#options
    const file = await setAside(payloads[0]!, heading)
    this.#refused++
    logger.error({ err: error, file }, `${sink.name} refused an exchange; it is kept in a file`)
    await drained(1)
  }
}
