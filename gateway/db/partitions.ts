// A day's rows of the exchange log are tables of their own: partitions, by the id, which begins with the time.
//
// UUIDv7 (RFC 9562, 5.7) has the milliseconds since 1970 in its first 48 bits.

import pg from 'pg'

import { inTransaction } from './transaction.ts'
import type { Pool, Queryable } from './pool.ts'

/** Tables that are partitioned by UTC day, and by nothing else. */
export const DAILY_TABLES = ['exchanges', 'exchange_bodies', 'exchange_words'] as const
/** Those of them that have texts, whose rows have the ids of exchanges, and may go before these. */
export const TEXT_TABLES = ['exchange_bodies', 'exchange_words'] as const

const DAY_MS = 24 * 60 * 60_000
/** any number, the same in every gateway: "days" in ASCII */
export const DAYS_LOCK = '1684108659'
/** Longer than any batch takes that is being written; then the writer tries again. */
const PATIENCE_MS = 5_000
/** of lock_timeout */
const LOCK_NOT_AVAILABLE = '55P03'

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
  if (await areThere(pool, days)) return
  await inTransaction(pool, async (transaction) => {
    await transaction.query(`SET LOCAL lock_timeout = ${PATIENCE_MS}`)
    await transaction.query(`SELECT pg_advisory_xact_lock(${DAYS_LOCK})`)
    for (const table of DAILY_TABLES) {
      const known = await listPartitions(transaction, table)
      for (const day of days) {
        const name = `${table}_${nameOf(day)}`
        const partition = known.find((known) => known.name === name)
        if (partition?.state === 'attached') continue
        // Made apart and attached: making it in its place would lock out everybody who reads or writes the table.
        if (!partition)
          await transaction.query(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`)
        // Somebody was about to drop it.
        if (partition?.state === 'leaving') {
          await transaction.query(`ALTER TABLE ${table} DETACH PARTITION ${name} FINALIZE`)
        }
        await transaction.query(
          `ALTER TABLE ${table} ATTACH PARTITION ${name}
           FOR VALUES FROM ('${lowestIdAt(day * DAY_MS)}') TO ('${lowestIdAt((day + 1) * DAY_MS)}')`,
        )
      }
    }
  })
}

/** Asked without a lock: days that were made ahead wait for nobody. */
async function areThere(db: Queryable, days: readonly number[]): Promise<boolean> {
  for (const table of DAILY_TABLES) {
    const known = await listPartitions(db, table)
    const isThere = (day: number) =>
      known.some((partition) => partition.day === day && partition.state === 'attached')
    if (!days.every(isThere)) return false
  }
  return true
}

export interface Partition {
  name: string
  /** since 1970, UTC */
  day: number
  /** `leaving`: its detachment was begun; `apart`: its rows can't be seen in the table */
  state: 'attached' | 'leaving' | 'apart'
}

/** Oldest first, with what was left behind by whoever was about to make or drop one. */
export async function listPartitions(db: Queryable, table: string): Promise<Partition[]> {
  const { rows } = await db.query<Omit<Partition, 'day'> & { day: string }>(
    `SELECT relname AS name, right(relname, 8) AS day,
       CASE WHEN inhrelid IS NULL THEN 'apart' WHEN inhdetachpending THEN 'leaving' ELSE 'attached' END AS state
     FROM pg_class
     LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
     WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = $1::regclass)
       AND relkind = 'r' AND relname ~ ('^' || $1 || '_[0-9]{8}$')
     ORDER BY relname`,
    [table],
  )
  return rows.map((row) => ({ ...row, day: dayOf(Date.parse(isoDay(row.day))) }))
}

/**
 * Drops the days before that one; writers and readers of other days go on meanwhile.
 * @param client outside of a transaction, and nobody else's
 * @returns names of what was dropped; those that somebody reads are left for the next time
 */
export async function dropPartitionsBefore(
  client: Queryable,
  table: string,
  day: number,
): Promise<string[]> {
  const dropped: string[] = []
  for (const partition of await listPartitions(client, table)) {
    if (partition.day >= day) continue
    const { name, state } = partition
    // No lock that a writer waits for; what runs is waited for, and what is left undone is gone on with next time.
    try {
      if (state === 'attached') {
        await client.query(`ALTER TABLE ${table} DETACH PARTITION ${name} CONCURRENTLY`)
      } else if (state === 'leaving') {
        await client.query(`ALTER TABLE ${table} DETACH PARTITION ${name} FINALIZE`)
      }
      await client.query(`DROP TABLE ${name}`)
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== LOCK_NOT_AVAILABLE) throw error
      // Only one can be on its way out.
      break
    }
    dropped.push(name)
  }
  return dropped
}

/** `20261121` as `2026-11-21` */
function isoDay(name: string): string {
  return `${name.slice(0, 4)}-${name.slice(4, 6)}-${name.slice(6)}`
}
