// Confirms feedback that waits for its exchange's row, lets go of what has waited in vain, and of what was said of days
// that are there no more.
//
// Knows: time. Does not know: SQL.

import { setTimeout as sleep } from 'node:timers/promises'

import { isAway } from '../db/away.ts'
import { confirmFeedback, deleteFeedbackBefore, deleteUnconfirmed } from '../db/feedback.ts'
import { findOldestDay } from '../db/partitions.ts'
import { deleteScoresBefore } from '../db/scores.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'

export interface SettleOptions {
  pool: Pool
  logger: Logger
  intervalMs?: number
  /** milliseconds since 1970 */
  now?: () => number
}

/** Whoever reads confirms what they read; this is for counts and roll-ups. */
const INTERVAL_MS = 30_000
const BATCH = 500
/** Spools that waited for PostgreSQL over a long weekend have been written by then. */
const PATIENCE_MS = 7 * 24 * 60 * 60_000

/** @returns ends it; waits for the batch that runs */
export function settleFeedback(options: SettleOptions): () => Promise<void> {
  const { pool, logger, intervalMs = INTERVAL_MS, now = Date.now } = options
  const stop = new AbortController()
  const run = async () => {
    while (!stop.signal.aborted) {
      let settled = 0
      try {
        settled = await confirmFeedback(pool, null, BATCH)
        if (settled < BATCH) await letGo(pool, new Date(now() - PATIENCE_MS))
      } catch (error) {
        if (!isAway(error)) logger.warn({ err: error }, 'feedback could not be confirmed')
      }
      const pauseMs = settled < BATCH ? intervalMs : 0
      await sleep(pauseMs, undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
  }
  const running = run()
  return async () => {
    stop.abort()
    await running
  }
}

/** @param waited whatever is younger may still belong to an exchange that is on its way */
async function letGo(pool: Pool, waited: Date): Promise<void> {
  await deleteUnconfirmed(pool, waited)
  const oldest = await findOldestDay(pool)
  if (!oldest) return
  const before = oldest < waited ? oldest : waited
  await deleteFeedbackBefore(pool, before)
  await deleteScoresBefore(pool, before)
}
