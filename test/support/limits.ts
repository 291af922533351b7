// Callers with limits, and what a test asks and settles with.

import type { TestContext } from 'node:test'

import { AnswerStore } from '../../gateway/cache/answer-store.ts'
import { ResponseCache } from '../../gateway/cache/response-cache.ts'
import { Admission } from '../../gateway/limits/admission.ts'
import { openLimits } from '../../gateway/limits/open-limits.ts'
import { connectRedis } from '../../gateway/process/redis.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { Caller, Limits as CallerLimits } from '../../gateway/callers/caller.ts'
import type { SpendQuestion, SpendTotal } from '../../gateway/db/spend.ts'
import type { Need } from '../../gateway/limits/claim.ts'
import type { Limits, Used } from '../../gateway/limits/limits.ts'

export function callerWith(limits: CallerLimits, projectLimits?: CallerLimits): Caller {
  return {
    id: 'key-1',
    name: 'alice',
    role: 'caller',
    project: projectLimits ? { id: 'project-1', name: 'search', limits: projectLimits } : null,
    limits,
    allowedModels: null,
    tags: {},
    cacheSeconds: null,
    bodies: null,
    expiresAt: null,
  }
}

export function need(
  changes: Partial<Omit<Need, 'promptTokens'>> & { prompt?: number } = {},
): Need {
  const { prompt = 10, ...rest } = changes
  return { model: 'guide', promptTokens: () => prompt, maxTokens: 90, price: null, ...rest }
}

export function used(promptTokens: number, completionTokens: number): Used {
  return { promptTokens, completionTokens }
}

/** Spend that is kept in memory, as the table would. */
export class SpendBook {
  readonly rows: { at: Date; caller: Caller; tokens: number; usd: number }[] = []
  isAway = false

  sum(questions: SpendQuestion[]): Promise<SpendTotal[]> {
    if (this.isAway) return Promise.reject(new Error('connection refused'))
    const totals = questions.map(({ owner, id, from, to }) => {
      const rows = this.rows.filter(
        ({ at, caller }) =>
          at >= from && at < to && (owner === 'key' ? caller.id : caller.project?.id) === id,
      )
      return {
        tokens: rows.reduce((sum, row) => sum + row.tokens, 0),
        usd: rows.reduce((sum, row) => sum + row.usd, 0),
      }
    })
    return Promise.resolve(totals)
  }
}

/** What a gateway of a test has in front of its routes; nobody is limited who has no limits. */
export async function openGuards(t: TestContext) {
  const { logger } = recordLog()
  const now = () => performance.timeOrigin + performance.now()
  const { limits } = await startLimits(t)
  const store = new AnswerStore({ maxBytes: 1e6, redis: null, now })
  const cache = new ResponseCache({ store, logger })
  return { limits, cache, admission: new Admission(1_000) }
}

export interface TestLimits {
  limits: Limits
  spend: SpendBook
  messages: () => string[]
}

/** @param redisUrl absent: this process alone */
export async function startLimits(
  t: TestContext,
  options: { redisUrl?: string; now?: () => number; spend?: SpendBook } = {},
): Promise<TestLimits> {
  const { logger, messages } = recordLog()
  const { redisUrl, now = () => performance.timeOrigin + performance.now() } = options
  const { spend = new SpendBook() } = options
  const redis = redisUrl === undefined ? null : connectRedis(redisUrl, 'limits', logger)
  const limits = await openLimits({ redis, sumSpend: spend.sum.bind(spend), logger, now })
  limits.admit = bookInto(spend, limits, now)
  defer(t, () => limits.close())
  return { limits, spend, messages }
}

/** What is settled is in the table at once. */
function bookInto(spend: SpendBook, limits: Limits, now: () => number): Limits['admit'] {
  const admit = limits.admit.bind(limits)
  return async (caller, need, came) => {
    const cameMs = came ?? now()
    const at = new Date(cameMs)
    const { headers, settle, release } = await admit(caller, need, cameMs)
    return {
      headers,
      release,
      settle: (used, usd) => {
        settle(used, usd)
        const tokens = (used.promptTokens ?? 0) + (used.completionTokens ?? 0)
        spend.rows.push({ at, caller, tokens, usd })
      },
    }
  }
}
