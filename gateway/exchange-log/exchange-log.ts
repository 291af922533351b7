// The exchange log: every exchange's record, kept the moment it closes, and in PostgreSQL a moment later.
//
// Knows: the order of things. Does not know: files, SQL.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { encodeExchange, HEADING, idOf } from '../db/exchanges.ts'
import { ExchangeTables } from '../db/exchange-tables.ts'
import { isRefusal } from '../db/refusal.ts'
import { SystemPrompts } from '../db/system-prompts.ts'
import { Lag } from './lag.ts'
import { Spool } from './spool.ts'
import { threadLinksOf } from './thread.ts'
import { Writer } from './writer.ts'
import type { Sink } from './writer.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Logger } from '../logger.ts'
import type { Pool } from '../db/pool.ts'

export interface ExchangeLogOptions {
  /** absolute; nobody else's */
  folder: string
  maxBytes: number
  sink: Sink
  logger: Logger
  /** milliseconds since 1970 */
  now?: () => number
  lingerMs?: number
  retryMs?: number
  segmentBytes?: number
}

interface Gathered {
  id: string
  payload: string
  kept: () => void
}

/** More than this is written before the turn ends: it would only take memory. */
const MOST_GATHERED_BYTES = 1024 * 1024
/** between two lines about records that are dropped */
const COMPLAINT_MS = 30_000

export class ExchangeLog {
  readonly #options: ExchangeLogOptions
  readonly #spool: Spool
  readonly #writer: Writer
  readonly #systemPrompts: SystemPrompts
  /** closed in this turn of the event loop */
  readonly #gathered: Gathered[] = []
  #gatheredBytes = 0
  readonly #lag: Lag
  #kept = 0
  #dropped = 0
  #complainedMs = -Infinity

  private constructor(options: ExchangeLogOptions, spool: Spool) {
    this.#options = options
    this.#spool = spool
    this.#lag = new Lag(options.now ?? Date.now)
    this.#systemPrompts = new SystemPrompts(options.now ?? Date.now)
    this.#writer = new Writer({
      ...options,
      spool,
      setAside: async (payload, heading) => {
        const file = join(options.folder, `refused-${idOf(payload)}.txt`)
        await writeFile(file, Buffer.concat([Buffer.from(`${heading}\n`), payload]), {
          mode: 0o600,
        })
        return file
      },
    })
  }

  /** Goes on with what was left in the folder. @throws where the folder can't be used */
  static async open(options: ExchangeLogOptions): Promise<ExchangeLog> {
    const spool = await Spool.open({ ...options, heading: JSON.stringify(HEADING) })
    const log = new ExchangeLog(options, spool)
    if (!spool.isEmpty) log.#writer.wake()
    return log
  }

  /** exchanges of this process that are not in PostgreSQL, or with the broker, yet */
  get pending(): number {
    return this.#spool.pending + this.#gathered.length
  }

  /** bytes on the disk that wait, with those of before */
  get pendingBytes(): number {
    return this.#spool.bytes
  }

  /** most that may wait there */
  get maxBytes(): number {
    return this.#options.maxBytes
  }

  /** how long the oldest exchange of this process has waited */
  get lagMs(): number {
    return this.#lag.ms(this.#kept - this.#spool.pending)
  }

  /** exchanges that never will be: there was no room, or they were refused */
  get dropped(): number {
    return this.#dropped + this.#writer.refused
  }

  /** files that were set aside because something in them could not be read */
  get damaged(): number {
    return this.#spool.damaged
  }

  get hasRoom(): boolean {
    return this.#spool.hasRoom(this.#gatheredBytes)
  }

  /**
   * What closes in one turn of the event loop is written together, at its end.
   * @param kept called when the record outlives this process; or there was no room for it, which is counted and told
   */
  append(record: ExchangeRecord, kept = () => {}): void {
    linkThread(record)
    const payload = encodeExchange(record, this.#systemPrompts)
    this.#gatheredBytes += payload.length
    if (this.#gathered.push({ id: record.id, payload, kept }) === 1) setImmediate(this.#keep)
    if (this.#gatheredBytes > MOST_GATHERED_BYTES) this.#keep()
  }

  /** Resolves when nothing waits any more. */
  flush(): Promise<void> {
    this.#keep()
    return this.#writer.flush()
  }

  /** Writes what waits, for as long as that; what is left then is written at the next start. */
  async close(deadlineMs: number): Promise<void> {
    this.#keep()
    await this.#writer.close(deadlineMs)
    const { pending } = this
    await this.#spool.close()
    if (pending === 0) return
    this.#options.logger.warn(
      { pending },
      'exchanges that are not written yet are written at the next start',
    )
  }

  readonly #keep = () => {
    if (this.#gathered.length === 0) return
    const gathered = this.#gathered.splice(0)
    this.#gatheredBytes = 0
    const count = this.#spool.appendAll(gathered.map(({ payload }) => payload))
    this.#kept += count
    this.#lag.appended(this.#kept)
    for (const [at, { id, kept }] of gathered.entries()) {
      if (at >= count) this.#drop(id)
      try {
        kept()
      } catch (error) {
        // The others' answers wait behind it.
        this.#options.logger.error({ err: error, exchange: id }, 'an answer could not be ended')
      }
    }
    this.#writer.wake()
  }

  #drop(id: string): void {
    this.#dropped++
    // With it went a system prompt, perhaps.
    this.#systemPrompts.forget()
    const now = performance.now()
    if (now - this.#complainedMs < COMPLAINT_MS) return
    this.#complainedMs = now
    const context = { exchange: id, dropped: this.#dropped, bytes: this.#spool.bytes }
    this.#options.logger.error(
      context,
      'there is no room for the exchange log: new exchanges are dropped',
    )
  }
}

/** What the client said of its conversation counts. */
function linkThread(record: ExchangeRecord): void {
  let links
  try {
    links = threadLinksOf(record)
  } catch {
    // Nested too deep to be read; its figures are worth having anyway.
    return
  }
  if (!links) return
  record.conversationId ??= links.conversationId
  record.digest = links.digest
  record.previousDigest = links.previousDigest
}

export function postgresSink(pool: Pool): Sink {
  const tables = new ExchangeTables(pool)
  return { name: 'PostgreSQL', write: (batch) => tables.write(batch), isRefusal }
}
