// What one request asks of each limit that it falls under: the key's and its project's.
//
// Amounts are whole numbers: requests, tokens, billionths of a dollar. A budget's counter has the day or the month in its
// name, by the calendar of UTC, so that a settlement always reaches the period in which the request was admitted.
//
// Knows: callers, prices, the calendar. Does not know: where anything is counted.

import { costOf, NANO_DOLLARS } from './price.ts'
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

/**
 * An answer whose length nobody bounded is expected to be of a usual length. Larger figures refuse requests that would
 * have fitted, smaller ones admit more at once than fit; either way the real count follows.
 */
const USUAL_ANSWER_TOKENS = 1_024
/** Where that is most of the limit, as much as leaves room for others. */
const USUAL_SHARE = 1 / 4

/** A claim of everybody with these limits, but for how much this request asks. */
type Standard = {
  [Kind in Claim['kind']]: Omit<Extract<Claim, { kind: Kind }>, 'amount'>
}[Claim['kind']]

/** @returns none for whoever has no limits */
export function claimsOf(caller: Caller, need: Need, nowMs: number): Claim[] {
  const { id, name, limits, project } = caller
  const standards = [
    ...(id === null ? NONE : standardsOf('key', id, name, limits, nowMs)),
    ...(project ? standardsOf('project', project.id, project.name, project.limits, nowMs) : NONE),
  ]
  const amounts = lazyAmounts(need, standards)
  const claims: Claim[] = []
  for (const standard of standards) {
    if (need.isKept && standard.limitName !== 'requestsPerMinute') continue
    claims.push({ ...standard, amount: amountOf(standard, amounts) })
  }
  return claims
}

const NONE: readonly Standard[] = []

interface Remembered {
  standards: readonly Standard[]
  id: string
  name: string
  day: Period
  month: Period
}

/** Callers are remembered between their requests, and their claims with them: names of counters are written once a day. */
const remembered = new WeakMap<Limits, Remembered>()

function standardsOf(
  owner: 'key' | 'project',
  ownerId: string,
  name: string,
  limits: Limits,
  nowMs: number,
): readonly Standard[] {
  const [day, month] = [dayAt(nowMs), monthAt(nowMs)]
  const known = remembered.get(limits)
  if (known?.day === day && known.month === month && known.id === ownerId && known.name === name) {
    return known.standards
  }
  const standards = [...writeStandards(owner, ownerId, name, limits, { day, month })]
  remembered.set(limits, { standards, id: ownerId, name, day, month })
  return standards
}

function* writeStandards(
  owner: 'key' | 'project',
  ownerId: string,
  ownerName: string,
  limits: Limits,
  periods: { day: Period; month: Period },
): Generator<Standard> {
  const common = (limitName: keyof Limits, suffix: string, unit = 1) => ({
    key: `${owner}:${ownerId}:${suffix}`,
    limitName,
    owner,
    ownerId,
    ownerName,
    limit: Math.round((limits[limitName] ?? 0) * unit),
  })
  const { requestsPerMinute, tokensPerMinute, concurrentRequests } = limits
  if (requestsPerMinute !== undefined) {
    yield { ...common('requestsPerMinute', 'requests'), kind: 'window', windowMs: MINUTE_MS }
  }
  if (tokensPerMinute !== undefined) {
    yield { ...common('tokensPerMinute', 'tokens'), kind: 'window', windowMs: MINUTE_MS }
  }
  if (concurrentRequests !== undefined) {
    yield { ...common('concurrentRequests', 'held'), kind: 'held' }
  }
  for (const { limitName, unit, period } of BUDGETS) {
    if (limits[limitName] === undefined) continue
    const { name, fromMs, toMs } = periods[period]
    const about = common(limitName, `${unit}:${name}`, unit === 'usd' ? NANO_DOLLARS : 1)
    yield { ...about, kind: 'budget', unit, fromMs, toMs }
  }
}

function amountOf({ limitName }: Standard, amounts: () => Amounts): number {
  switch (limitName) {
    case 'requestsPerMinute':
    case 'concurrentRequests':
      return 1
    case 'tokensPerMinute':
    case 'dailyTokens':
    case 'monthlyTokens':
      return amounts().tokens
    case 'dailyUsd':
    case 'monthlyUsd':
      return amounts().usd
  }
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

interface Amounts {
  tokens: number
  /** billionths of a dollar */
  usd: number
}

const COUNTS_TOKENS: ReadonlySet<keyof Limits> = new Set([
  'tokensPerMinute',
  'dailyTokens',
  'monthlyTokens',
])

function lazyAmounts(need: Need, standards: readonly Standard[]): () => Amounts {
  let amounts: Amounts | null = null
  return () => {
    if (amounts) return amounts
    const { maxTokens, price } = need
    const promptTokens = need.promptTokens()
    let tightest = Infinity
    for (const { limitName, limit } of standards) {
      if (COUNTS_TOKENS.has(limitName)) tightest = Math.min(tightest, limit)
    }
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

/** The period of the last time asked is nearly always that of the next: dates are written once. */
function lastOf(periodOf: (nowMs: number) => Period): (nowMs: number) => Period {
  let last: Period | null = null
  return (nowMs) => {
    if (last && nowMs >= last.fromMs && nowMs < last.toMs) return last
    last = periodOf(nowMs)
    return last
  }
}

const dayAt = lastOf(dayOf)
const monthAt = lastOf(monthOf)

const BUDGETS = [
  { limitName: 'dailyUsd', unit: 'usd', period: 'day' },
  { limitName: 'monthlyUsd', unit: 'usd', period: 'month' },
  { limitName: 'dailyTokens', unit: 'tokens', period: 'day' },
  { limitName: 'monthlyTokens', unit: 'tokens', period: 'month' },
] as const
