// Limits as a gateway needs them: counted in this process, or with others in Redis, and beginning where the table of
// spend left off.

import { NANO_DOLLARS } from './price.ts'
import { Limits } from './limits.ts'
import { MemoryCounters } from './memory-counters.ts'
import { RedisCounters } from './redis-counters.ts'
import type { BudgetClaim } from './claim.ts'
import type { ReadSpent } from './counters.ts'
import type { SpendQuestion, SpendTotal } from '../db/spend.ts'
import type { Logger } from '../logger.ts'
import type { Redis } from '../process/redis.ts'

export interface OpenLimitsOptions {
  /** null: this replica is the only one */
  redis: Redis | null
  /** one total for each question; rejects where the table can't be read */
  sumSpend(questions: SpendQuestion[]): Promise<SpendTotal[]>
  logger: Logger
  /** milliseconds since 1970, monotonic */
  now: () => number
}

/** Redis that is started at the same time is there by then. */
const REDIS_PATIENCE_MS = 2_000
/** A request waits for it where a budget is met for the first time. */
const READ_TIMEOUT_MS = 1_000

export async function openLimits(options: OpenLimitsOptions): Promise<Limits> {
  const { redis, sumSpend, logger, now } = options
  const readSpent = spentReader(sumSpend, logger)
  const counters = redis
    ? new RedisCounters({ redis, logger, now, readSpent })
    : new MemoryCounters({ now, readSpent })
  if (counters instanceof RedisCounters) await counters.start(REDIS_PATIENCE_MS)
  return new Limits({ counters, logger, now })
}

/** Budgets go on from nothing where the table can't be read, and are raised to it as soon as it can. */
function spentReader(sumSpend: OpenLimitsOptions['sumSpend'], logger: Logger): ReadSpent {
  return async (budgets) => {
    try {
      const totals = await inTime(sumSpend(budgets.map(questionOf)))
      return totals.map(({ usd, tokens }, index) =>
        budgets[index]?.unit === 'usd' ? Math.round(usd * NANO_DOLLARS) : tokens,
      )
    } catch (error) {
      logger.warn({ err: error }, "what was spent so far can't be read; budgets go on without it")
      return null
    }
  }
}

function questionOf({ owner, ownerId, fromMs, toMs }: BudgetClaim): SpendQuestion {
  return { owner, id: ownerId, from: new Date(fromMs), to: new Date(toMs) }
}

async function inTime<T>(reading: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const sayLate = () => reject(new Error(`There was no answer within ${READ_TIMEOUT_MS} ms.`))
  const timer = setTimeout(sayLate, READ_TIMEOUT_MS)
  try {
    return await Promise.race([reading, late])
  } finally {
    clearTimeout(timer)
  }
}
