// Takes words from exchanges that were written, behind the writer's back.
//
// Taking the words of 4 KB costs a millisecond or two, which the writer can't spend; so it is done here in small batches,
// in the order in which exchanges came, by one gateway at a time. It waits while this process has exchanges to write, and
// goes slowly while the machine is busy. A batch that is refused is done one by one, and what is refused then is left
// without words.
//
// Knows: batches, time. Does not know: SQL, texts.

import { setTimeout as sleep } from 'node:timers/promises'

import type { Arrival } from '../db/exchange-arrivals.ts'
import type { Logger } from '../logger.ts'

interface IndexTables {
  /** Does the work as the only one of all gateways; nothing where another one does. */
  alone(work: () => Promise<void>): Promise<void>
  next(): Promise<Arrival | null>
  index(ids: readonly string[]): Promise<void>
  /** leaves it without words */
  pass(id: string): Promise<void>
  done(arrival: Arrival): Promise<void>
  /** summaries of what was written, and an end of what nobody needs */
  tidy(): Promise<void>
  isRefusal(error: unknown): boolean
}

export interface IndexerOptions {
  tables: IndexTables
  /** exchanges of this process that are not written yet */
  pending: () => number
  /** of the machine: 1 is as much as it has */
  load: () => number
  logger: Logger
  pollMs?: number
  tidyMs?: number
}

/** Some 100 ms of one core: the longest that somebody else waits for it. */
const BATCH = 100
const POLL_MS = 1_000
const TIDY_MS = 10_000
/** More wait than a batch of the writer's: it has better uses for the database. */
const MAX_PENDING = 1_000
const BUSY = 0.9

/** @returns ends it; waits for the batch that runs */
export function indexWrittenWords(options: IndexerOptions): () => Promise<void> {
  const { tables, pending, load, logger, pollMs = POLL_MS, tidyMs = TIDY_MS } = options
  const stop = new AbortController()
  const pause = () => sleep(pollMs, undefined, { signal: stop.signal, ref: false }).catch(() => {})
  let tidiedMs = -Infinity
  let isFailing = false

  const indexBatch = async (ids: readonly string[]) => {
    try {
      await tables.index(ids)
    } catch (error) {
      if (!tables.isRefusal(error)) throw error
      if (ids.length > 1) {
        for (const id of ids) await indexBatch([id])
        return
      }
      const [id = ''] = ids
      logger.warn({ exchange: id, err: error }, 'an exchange stays without words')
      await tables.pass(id)
    }
  }

  const work = async () => {
    if (performance.now() - tidiedMs > tidyMs) {
      tidiedMs = performance.now()
      await tables.tidy()
    }
    for (;;) {
      const arrival = await tables.next()
      if (!arrival) return
      for (let from = 0; from < arrival.ids.length; from += BATCH) {
        // What was done of it is left as it is when it is begun anew.
        if (stop.signal.aborted || pending() > MAX_PENDING) return
        await indexBatch(arrival.ids.slice(from, from + BATCH))
        if (load() > BUSY) await pause()
      }
      await tables.done(arrival)
    }
  }

  const run = async () => {
    while (!stop.signal.aborted) {
      await pause()
      if (stop.signal.aborted || pending() > MAX_PENDING) continue
      try {
        await tables.alone(work)
        isFailing = false
      } catch (error) {
        if (!isFailing)
          logger.warn({ err: error }, 'words of exchanges are not indexed at the moment')
        isFailing = true
      }
    }
  }
  const running = run()
  return async () => {
    stop.abort()
    await running
  }
}
