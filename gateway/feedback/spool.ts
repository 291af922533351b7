// Feedback that came while PostgreSQL was away: kept in the data folder as exchanges are, and written when it is back.
//
// Knows: the order of things. Does not know: files, SQL, who gave it.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { upsertFeedback } from '../db/feedback.ts'
import { isRefusal } from '../db/refusal.ts'
import { inTransaction } from '../db/transaction.ts'
import { Spool } from '../exchange-log/spool.ts'
import { Writer } from '../exchange-log/writer.ts'
import type { GivenFeedback } from '../db/feedback.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'

export interface FeedbackSpoolOptions {
  /** absolute; nobody else's */
  folder: string
  pool: Pool
  logger: Logger
  retryMs?: number
}

/** A hundred thousand comments; who has more to say while PostgreSQL is away is told to come back. */
const MAX_BYTES = 64 * 1024 * 1024
/** of this release's records */
const HEADING = 'feedback, JSON of GivenFeedback'

export class FeedbackSpool {
  readonly #spool: Spool
  readonly #writer: Writer

  private constructor(spool: Spool, writer: Writer) {
    this.#spool = spool
    this.#writer = writer
  }

  /** Goes on with what was left in the folder. @throws where the folder can't be used */
  static async open(options: FeedbackSpoolOptions): Promise<FeedbackSpool> {
    const { folder, pool, logger } = options
    const spool = await Spool.open({ folder, heading: HEADING, maxBytes: MAX_BYTES, logger })
    const writer = new Writer({
      ...options,
      spool,
      sink: {
        name: 'PostgreSQL, for feedback',
        // A word that is written twice is the same word.
        write: ({ payloads }) => writeFeedback(pool, payloads),
        isRefusal,
      },
      setAside: async (payload) => {
        const file = join(folder, `refused-${Date.now()}.json`)
        await writeFile(file, payload, { mode: 0o600 })
        return file
      },
    })
    if (!spool.isEmpty) writer.wake()
    return new FeedbackSpool(spool, writer)
  }

  /** @returns false where there is no room; nothing was kept then */
  append(given: GivenFeedback): boolean {
    if (!this.#spool.append(JSON.stringify(given))) return false
    this.#writer.wake()
    return true
  }

  /** Resolves when nothing waits any more. */
  flush(): Promise<void> {
    return this.#writer.flush()
  }

  /** Writes what waits, for as long as that; what is left then is written at the next start. */
  async close(deadlineMs: number): Promise<void> {
    await this.#writer.close(deadlineMs)
    await this.#spool.close()
  }
}

function writeFeedback(pool: Pool, payloads: readonly Buffer[]): Promise<void> {
  return inTransaction(pool, async (transaction) => {
    for (const payload of payloads) {
      await upsertFeedback(transaction, JSON.parse(payload.toString()) as GivenFeedback)
    }
  })
}
