// Keeps the log's days: makes those that come, drops those whose time is over, deletes texts that a project wants gone
// sooner.
//
// A day is dropped when all of it is older than it is kept; figures and texts apart. Of several gateways one does it.
// Texts of projects with a shorter time are deleted an hour of exchanges after the other, few rows at once; once a day
// from the oldest on, because a row may come late.
//
// Knows: time, the order of things. Does not know: SQL.

import { setTimeout as sleep } from 'node:timers/promises'

import { deleteEarlyExchanges, forgetEarlyTexts, hasEarlyExchanges } from '../db/early-exchanges.ts'
import { dayOf, ensurePartitions, findOldestDay } from '../db/partitions.ts'
import {
  asOnlyKeeper,
  daysOfTexts,
  deleteTextsOfProjects,
  deleteUnusedSystemPrompts,
  dropDaysBefore,
  shortestOfProjects,
  summarizeDay,
} from '../db/retention.ts'
import { deleteShadowAnswersBefore, forgetShadowTexts } from '../db/shadow-answers.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { Logger } from '../logger.ts'

export interface KeeperOptions {
  pool: Pool
  /** days that exchanges are kept; null: for ever */
  retentionDays: number | null
  /** days that their texts are kept; null: as long as they are */
  bodiesRetentionDays: number | null
  logger: Logger
  /** milliseconds since 1970 */
  now?: () => number
  intervalMs?: number
  /** between two batches */
  pauseMs?: number
  /** for whoever reads a day that is to be dropped */
  patienceMs?: number
}

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
/** Nobody is in a hurry: a day that isn't there when a row comes is made then. */
const INTERVAL_MS = HOUR_MS
/** Enough for a long weekend on which nobody could make any. */
const DAYS_AHEAD = 4
/** Spools that waited for PostgreSQL over a long weekend have been written by then. */
const LATE_DAYS = 7
/** A batch is a few milliseconds; with the pause, 5,000 rows a second at most. */
const BATCH = 500
const PAUSE_MS = 100
/** Queries that run longer hold a day up until the next round. A row that is late by days waits behind it. */
const PATIENCE_MS = 3_000

export class Keeper {
  readonly #options: Required<KeeperOptions>
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  /** day on which texts of projects were gone through from the oldest on */
  #sweptDay: number | null = null

  constructor(options: KeeperOptions) {
    this.#options = {
      now: Date.now,
      intervalMs: INTERVAL_MS,
      pauseMs: PAUSE_MS,
      patienceMs: PATIENCE_MS,
      ...options,
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Waits for the batch that runs. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** One round. @throws what PostgreSQL says; what is left undone is done in the next round */
  async keep(): Promise<void> {
    const { pool, now, patienceMs } = this.#options
    const today = dayOf(now())
    const days = Array.from({ length: 1 + DAYS_AHEAD }, (_, i) => today + i)
    await ensurePartitions(pool, days)
    await asOnlyKeeper(pool, patienceMs, async (client) => {
      await summarizeDay(client, today - 1)
      await this.#dropDays(client)
      await this.#deleteTexts(client)
      await deleteUnusedSystemPrompts(client, today - 1)
      await this.#keepShadows(client)
      await this.#keepEarly(client)
    })
  }

  /** Rows of before there were days. They don't say whose project they are of, so that its shortest time counts for all. */
  async #keepEarly(client: Queryable): Promise<void> {
    const { retentionDays, bodiesRetentionDays, now } = this.#options
    if (!(await hasEarlyExchanges(client))) return
    const endOf = (days: number) => new Date((dayOf(now()) - days) * DAY_MS)
    if (retentionDays !== null) {
      const before = endOf(retentionDays)
      await this.#inBatches(() => deleteEarlyExchanges(client, before, BATCH))
    }
    const texts = [bodiesRetentionDays, await shortestOfProjects(client)].filter((d) => d !== null)
    if (texts.length === 0 || !(await hasEarlyExchanges(client))) return
    await this.#inBatches(() => forgetEarlyTexts(client, endOf(Math.min(...texts)), BATCH))
  }

  async #inBatches(work: () => Promise<number>): Promise<void> {
    while (!this.#stop.signal.aborted && (await work()) === BATCH) {
      await this.#pause(this.#options.pauseMs)
    }
  }

  /** What a shadow answered lives as long as the exchange. */
  async #keepShadows(client: Queryable): Promise<void> {
    const { now } = this.#options
    await forgetShadowTexts(client, new Date(now() - LATE_DAYS * DAY_MS))
    const oldest = await findOldestDay(client)
    if (oldest) await deleteShadowAnswersBefore(client, oldest)
  }

  async #run(): Promise<void> {
    const { intervalMs, logger } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        await this.keep()
      } catch (error) {
        logger.warn({ err: error }, 'the days of the exchange log could not be kept')
      }
      await this.#pause(intervalMs)
    }
  }

  async #dropDays(client: Queryable): Promise<void> {
    const { retentionDays, bodiesRetentionDays, logger, now } = this.#options
    const today = dayOf(now())
    for (const [what, days] of [
      ['texts', bodiesRetentionDays],
      ['all', retentionDays],
    ] as const) {
      if (days === null) continue
      const dropped = await dropDaysBefore(client, what, today - days)
      if (dropped.length > 0) logger.info({ dropped }, 'days of the exchange log are dropped')
    }
  }

  async #deleteTexts(client: Queryable): Promise<void> {
    const { logger, now } = this.#options
    const [shortest, days] = [await shortestOfProjects(client), await daysOfTexts(client)]
    if (shortest === null || days === null) return
    const today = dayOf(now())
    const end = Math.min(now() - shortest * DAY_MS, (days.last + 1) * DAY_MS)
    const isWhole = this.#sweptDay !== today
    const recent = end - 2 * DAY_MS
    const begin = isWhole ? days.first * DAY_MS : Math.max(days.first * DAY_MS, recent)
    let deleted = 0
    for (let from = begin; from < end; from += HOUR_MS) {
      const span = { from: new Date(from), to: new Date(from + HOUR_MS), now: new Date(now()) }
      await this.#inBatches(async () => {
        const batch = await deleteTextsOfProjects(client, span, BATCH)
        deleted += batch
        return batch
      })
      if (this.#stop.signal.aborted) return
    }
    if (isWhole) this.#sweptDay = today
    if (deleted > 0)
      logger.info({ deleted }, 'texts of projects that keep them shortly are deleted')
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
  }
}
