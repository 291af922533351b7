// Deletes responses whose time has come, from time to time and few at once.
//
// Knows: time. Does not know: what expires, SQL.

import { setTimeout as sleep } from 'node:timers/promises'

import type { Logger } from '../logger.ts'

export interface SweepOptions {
  /** Deletes up to that many. @returns how many there were */
  deleteExpired: (limit: number) => Promise<number>
  logger: Logger
  intervalMs?: number
  /** between two batches */
  pauseMs?: number
}

/** What has expired can't be found any more: being late costs nothing but room. */
const INTERVAL_MS = 10 * 60_000
/** A batch is a few milliseconds and its locks are nobody else's; with the pause, 5,000 a second at most. */
const BATCH = 500
const PAUSE_MS = 100

/** @returns ends it; waits for the batch that runs */
export function sweepExpired(options: SweepOptions): () => Promise<void> {
  const { deleteExpired, logger, intervalMs = INTERVAL_MS, pauseMs = PAUSE_MS } = options
  const stop = new AbortController()
  const pause = (ms: number) => sleep(ms, undefined, { signal: stop.signal, ref: false })

  const run = async () => {
    while (!stop.signal.aborted) {
      let deleted = 0
      try {
        deleted = await deleteExpired(BATCH)
      } catch (error) {
        logger.warn({ err: error }, 'expired responses could not be deleted')
      }
      await pause(deleted < BATCH ? intervalMs : pauseMs).catch(() => {})
    }
  }
  const running = run()
  return async () => {
    stop.abort()
    await running
  }
}
