// A day's rows of the exchange log are tables of their own: partitions, by the id, which begins with the time.
//
// UUIDv7 (RFC 9562, 5.7) has the milliseconds since 1970 in its first 48 bits.

import { inTransaction } from './transaction.ts'
import type { Pool, Queryable } from './pool.ts'

/** Tables that are partitioned by UTC day, and by nothing else. */
export const DAILY_TABLES = ['exchanges', 'exchange_bodies', 'exchange_words'] as const

const DAY_MS = 24 * 60 * 60_000
/** any number, the same in every gateway: "days" in ASCII */
const LOCK = '1684108659'

/** The lowest id of that millisecond. @param ms since 1970 */
export function lowestIdAt(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

/** @returns milliseconds since 1970 when the id was made */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** @returns days since 1970, UTC */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS)
}

/** `20261121` */
function nameOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')
}

/** @returns when the oldest day begins whose exchanges are there; null where there are none */
export async function findOldestDay(db: Queryable): Promise<Date | null> {
  const { rows } = await db.query<{ day: string | null }>(
    `SELECT to_char(to_date(min(right(child.relname, 8)), 'YYYYMMDD'), 'YYYY-MM-DD') AS day
     FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
     WHERE inhparent = to_regclass('exchanges')`,
  )
  const day = rows[0]?.day
  return day ? new Date(`${day}T00:00:00Z`) : null
}

/**
 * Makes the partitions of these days where they are missing; of several gateways at once, one does it.
 * @param days since 1970, UTC
 */
export async function ensurePartitions(pool: Pool, days: readonly number[]): Promise<void> {
  await inTransaction(pool, async (transaction) => {
    await transaction.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
    for (const table of DAILY_TABLES) {
      for (const day of days) {
        const partition = `${table}_${nameOf(day)}`
        const { rows } = await transaction.query<{ isThere: boolean }>(
          `SELECT to_regclass($1) IS NOT NULL AS "isThere"`,
          [partition],
        )
        if (rows[0]?.isThere) continue
        // Made apart and attached: making it in its place would lock out everybody who reads or writes the table.
        await transaction.query(`CREATE TABLE ${partition} (LIKE ${table} INCLUDING ALL)`)
        await transaction.query(
          `ALTER TABLE ${table} ATTACH PARTITION ${partition}
           FOR VALUES FROM ('${lowestIdAt(day * DAY_MS)}') TO ('${lowestIdAt((day + 1) * DAY_MS)}')`,
        )
      }
    }
  })
}
