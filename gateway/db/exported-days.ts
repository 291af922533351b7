// Table `exported_days`: which days are at which place, and the lock of whoever exports.
//
// Whether rows came after a day was exported is seen by the sums of its hours, which the log's writer adds to in the
// transaction that writes the rows: no partition is counted for it.
//
// Knows: SQL. Does not know: files, formats.

import type pg from 'pg'

import { knownRange } from './export-pages.ts'
import { dayOf } from './partitions.ts'
import type { Pool, Queryable } from './pool.ts'

export interface ClosedDay {
  /** days since 1970, UTC */
  day: number
  /** that began on this day, as far as they are written by now */
  requests: number
  /** of the last export, or null where there was none */
  exportedRequests: number | null
}

const DAY_MS = 24 * 60 * 60_000
/** One row of a clock that stood at 1970 must not make twenty thousand quiet days. */
const MOST_DAYS = 400
/** any number, the same in every gateway: "export" in ASCII */
const LOCK = '111567956832884'

/**
 * Days that have ended, from the oldest with rows on, in their order; 400 at most.
 * @param nowMs days that end after it are not closed
 */
export async function closedDays(
  db: Queryable,
  destination: string,
  nowMs: number,
): Promise<ClosedDay[]> {
  const known = await knownRange(db)
  if (!known) return []
  const last = dayOf(nowMs) - 1
  // A quiet day is a day too: whoever waits for its manifest gets one.
  const first = Math.max(dayOf(known.startMs), last - MOST_DAYS)
  if (last < first) return []
  const { rows } = await db.query<Record<'day' | 'requests', string> & { exported: string | null }>(
    `SELECT series.day, coalesce(hours.requests, 0) AS requests, exported_days.requests AS exported
     FROM generate_series($2::integer, $3::integer) AS series (day)
     LEFT JOIN (
       SELECT floor(extract(epoch FROM hour) / 86400)::integer AS day, sum(requests) AS requests
       FROM exchange_model_hours
       WHERE hour >= $4 AND hour < $5
       GROUP BY 1
     ) AS hours ON hours.day = series.day
     LEFT JOIN exported_days
       ON exported_days.destination = $1 AND exported_days.day = date '1970-01-01' + series.day
     ORDER BY series.day`,
    [destination, first, last, new Date(first * DAY_MS), new Date((last + 1) * DAY_MS)],
  )
  return rows.map(({ day, requests, exported }) => ({
    day: Number(day),
    requests: Number(requests),
    exportedRequests: exported === null ? null : Number(exported),
  }))
}

export interface ExportedDay {
  destination: string
  /** days since 1970, UTC */
  day: number
  generation: number
  rows: number
  requests: number
}

export async function recordExportedDay(
  db: Queryable,
  { destination, day, generation, rows, requests }: ExportedDay,
): Promise<void> {
  await db.query(
    `INSERT INTO exported_days (destination, day, generation, rows, requests, exported_at)
     VALUES ($1, date '1970-01-01' + $2::integer, $3, $4, $5, now())
     ON CONFLICT (destination, day) DO UPDATE SET
       generation = excluded.generation, rows = excluded.rows, requests = excluded.requests,
       exported_at = excluded.exported_at`,
    [destination, day, generation, rows, requests],
  )
}

export interface ExportLock {
  /** @throws where the connection broke, and somebody else may export by now */
  check(): Promise<void>
  release(): Promise<void>
}

/** @returns null where another gateway exports */
export async function lockExports(pool: Pool): Promise<ExportLock | null> {
  const client: pg.PoolClient = await pool.connect()
  // While it is checked out, nobody else hears of its end; the next check does.
  const onError = () => {}
  client.on('error', onError)
  const release = (isBroken: boolean) => {
    client.off('error', onError)
    client.release(isBroken)
  }
  try {
    const { rows } = await client.query<{ isOurs: boolean }>(
      `SELECT pg_try_advisory_lock(${LOCK}) AS "isOurs"`,
    )
    if (!rows[0]?.isOurs) {
      release(false)
      return null
    }
  } catch (error) {
    release(true)
    throw error
  }
  return {
    check: async () => void (await client.query('SELECT 1')),
    release: async () => {
      const isFree = await client.query(`SELECT pg_advisory_unlock(${LOCK})`).then(
        () => true,
        () => false,
      )
      // The lock ends with its connection at the latest.
      release(!isFree)
    },
  }
}
