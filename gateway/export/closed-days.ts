// One pass over the days that have ended: those that are not at the destination yet are exported, oldest first, and
// those that got rows since then are exported again.
//
// Of several gateways one does it. What a pass has done is kept by the day; what fails is left for the next pass.
//
// Knows: which days are due. Does not know: when passes happen.

import { exportDay } from './export-day.ts'
import { closedDays, lockExports, recordExportedDay } from '../db/exported-days.ts'
import type { Destination } from './destination.ts'
import type { Manifest } from './manifest.ts'
import type { ClosedDay } from '../db/exported-days.ts'
import type { Pool } from '../db/pool.ts'

export interface ClosedDaysOptions {
  pool: Pool
  destination: Destination
  withBodies: boolean
  /** milliseconds since 1970 */
  nowMs: number
}

const DAY_MS = 24 * 60 * 60_000
/** Rows are written within seconds; a gateway that was away from PostgreSQL for longer is what generations are for. */
export const GRACE_MS = 60 * 60_000
/**
 * A day is exported again for late rows only so long: by then retention may have taken rows out of it, and what is at
 * the destination must not lose them.
 */
const LATE_DAYS = 7

/**
 * Yields the manifest of each day that was exported.
 *
 * @returns false where another gateway is at it
 * @throws what went wrong with a day; those before it are done
 */
export async function* exportClosedDays(
  options: ClosedDaysOptions,
): AsyncGenerator<Manifest, boolean> {
  const { pool, destination, withBodies, nowMs } = options
  const lock = await lockExports(pool)
  if (!lock) return false
  try {
    const closedMs = nowMs - GRACE_MS
    const days = await closedDays(pool, destination.name, closedMs)
    for (const closed of days.filter((closed) => isDue(closed, closedMs))) {
      const { day, requests } = closed
      const manifest = await exportDay({
        db: pool,
        destination,
        day,
        format: 'parquet',
        withBodies,
        mayWrite: () => lock.check(),
      })
      const { generation, rows } = manifest
      // What was counted before the rows were read: what came meanwhile makes it due again, and nothing is missed.
      const exported = { destination: destination.name, day, generation, rows, requests }
      await recordExportedDay(pool, exported)
      yield manifest
    }
    return true
  } finally {
    await lock.release()
  }
}

function isDue({ day, requests, exportedRequests }: ClosedDay, closedMs: number): boolean {
  if (exportedRequests === null) return true
  return requests !== exportedRequests && (day + LATE_DAYS) * DAY_MS > closedMs
}
