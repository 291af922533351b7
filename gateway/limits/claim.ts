// What one request asks of each limit that it falls under: the key's and its project's.
//
// Amounts are whole numbers: requests, tokens, billionths of a dollar. A budget's counter has the day or the month in its
// name, by the calendar of UTC, so that a settlement always reaches the period in which the request was admitted.
//
// Knows: callers, prices, the calendar. Does not know: where anything is counted.

import { costOf } from './price.ts'
import type { Caller, Limits } from '../callers/caller.ts'
import type { Price } from '../routing/route.ts'

export interface Need {
  /** as the client wrote it, for words */
  model: string
  /** estimated; asked only where a limit wants to know */
  promptTokens: () => number
  /** most tokens of the answer; null where the client said nothing */
  maxTokens: number | null
  /** of the target that will probably answer */
  price: Price | null
  /** the answer is here already: it takes no tokens, no money and no slot, but it was asked for */
  isKept?: boolean
}

interface Common {
  /** name of the counter */
  key: string
  limitName: keyof Limits
  owner: 'key' | 'project'
  ownerId: string
  ownerName: string
  limit: number
  amount: number
}

/** At most `limit` in any stretch of that length. */
export interface WindowClaim extends Common {
  kind: 'window'
  windowMs: number
}

/** At most `limit` at once. */
interface HeldClaim extends Common {
  kind: 'held'
}

/** At most `limit` from `fromMs` until before `toMs`. */
export interface BudgetClaim extends Common {
  kind: 'budget'
  unit: 'usd' | 'tokens'
  fromMs: number
  toMs: number
}

export type Claim = WindowClaim | HeldClaim | BudgetClaim

const MINUTE_MS = 60_000
export const NANO_DOLLARS = 1e9

/**
 * An answer whose length nobody bounded is expected to be of a usual length. Larger figures refuse requests that would
 * have fitted, smaller ones admit more at once than fit; either way the real count follows.
 */
const USUAL_ANSWER_TOKENS = 1_024
/** Where that is most of the limit, as much as leaves room for others. */
const USUAL_SHARE = 1 / 4

/** @returns none for whoever has no limits */
export function claimsOf(caller: Caller, need: Need, nowMs: number): Claim[] {
  const owners = [
    ...(caller.id === null ? [] : [{ owner: 'key' as const, ...caller, ownerId: caller.id }]),
    ...(caller.project
      ? [{ owner: 'project' as const, ...caller.project, ownerId: caller.project.id }]
      : []),
  ]
  const amounts = lazyAmounts(need, owners)
  const claims: Claim[] = []
  for (const { owner, ownerId, name, limits } of owners) {
    const common = (limitName: keyof Limits, suffix: string, unit = 1) => ({
      key: `${owner}:${ownerId}:${suffix}`,
      limitName,
      owner,
      ownerId,
      ownerName: name,
      limit: Math.round((limits[limitName] ?? 0) * unit),
    })
    const { requestsPerMinute, tokensPerMinute, concurrentRequests } = limits
    if (requestsPerMinute !== undefined) {
      const about = common('requestsPerMinute', 'requests')
      claims.push({ ...about, kind: 'window', amount: 1, windowMs: MINUTE_MS })
    }
    if (need.isKept) continue
    if (tokensPerMinute !== undefined) {
      const about = common('tokensPerMinute', 'tokens')
      claims.push({ ...about, kind: 'window', amount: amounts().tokens, windowMs: MINUTE_MS })
    }
    if (concurrentRequests !== undefined) {
      claims.push({ ...common('concurrentRequests', 'held'), kind: 'held', amount: 1 })
    }
    for (const { limitName, unit, period } of BUDGETS) {
      if (limits[limitName] === undefined) continue
      const { name, fromMs, toMs } = period(nowMs)
      const about = common(limitName, `${unit}:${name}`, unit === 'usd' ? NANO_DOLLARS : 1)
      claims.push({ ...about, kind: 'budget', amount: amounts()[unit], unit, fromMs, toMs })
    }
  }
  return claims
}

/** What a claim has to be charged with, now that the request is over. */
export function actualOf(claim: Claim, tokens: number, costUsd: number): number {
  switch (claim.limitName) {
    case 'requestsPerMinute':
      return claim.amount
    case 'concurrentRequests':
      return 0
    case 'tokensPerMinute':
    case 'dailyTokens':
    case 'monthlyTokens':
      return tokens
    case 'dailyUsd':
    case 'monthlyUsd':
      return Math.round(costUsd * NANO_DOLLARS)
  }
}

function lazyAmounts(need: Need, owners: { limits: Limits }[]) {
  let amounts: { tokens: number; usd: number } | null = null
  return () => {
    if (amounts) return amounts
    const { maxTokens, price } = need
    const promptTokens = need.promptTokens()
    const tightest = Math.min(
      ...owners.flatMap(({ limits: { tokensPerMinute, dailyTokens, monthlyTokens } }) =>
        [tokensPerMinute, dailyTokens, monthlyTokens].filter((limit) => limit !== undefined),
      ),
    )
    const usual = Math.min(USUAL_ANSWER_TOKENS, Math.floor(tightest * USUAL_SHARE))
    const completionTokens = maxTokens ?? usual
    const usd = costOf({ promptTokens, completionTokens }, price)
    amounts = { tokens: promptTokens + completionTokens, usd: Math.round(usd * NANO_DOLLARS) }
    return amounts
  }
}

interface Period {
  name: string
  fromMs: number
  toMs: number
}

function dayOf(nowMs: number): Period {
  const now = new Date(nowMs)
  const fromMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate())
  return { name: now.toISOString().slice(0, 10), fromMs, toMs: fromMs + 24 * 60 * MINUTE_MS }
}

function monthOf(nowMs: number): Period {
  const now = new Date(nowMs)
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()]
  const name = now.toISOString().slice(0, 7)
  return { name, fromMs: Date.UTC(year, month), toMs: Date.UTC(year, month + 1) }
}

/** The period of the last time asked is nearly always that of the next: dates are written once, not eight times a request. */
function remembered(periodOf: (nowMs: number) => Period): (nowMs: number) => Period {
  let last: Period | null = null
  return (nowMs) => {
    if (last && nowMs >= last.fromMs && nowMs < last.toMs) return last
    last = periodOf(nowMs)
    return last
  }
}

const day = remembered(dayOf)
const month = remembered(monthOf)

const BUDGETS = [
  { limitName: 'dailyUsd', unit: 'usd', period: day },
  { limitName: 'monthlyUsd', unit: 'usd', period: month },
  { limitName: 'dailyTokens', unit: 'tokens', period: day },
  { limitName: 'monthlyTokens', unit: 'tokens', period: month },
] as const
