// Where callers stand in their limits, as metrics, read when scraped.
//
// Budgets that are half used are always told, so that somebody can be woken before one is empty; what is left of every
// limit is behind a switch, as it costs a series for each limit of each caller. Both are bounded.
//
// Knows: standings. Does not know: how they come about, who the callers are.

import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

import type { LimitStanding } from '../limits/standings.ts'

export interface StandingSource {
  /** of callers that were seen lately */
  standings(): Iterable<LimitStanding>
}

const LABELS = ['owner', 'name', 'limit'] as const

const WORTH_TELLING = 0.5
/** the fullest; more than this at once is not a matter of single callers */
const MOST_BUDGETS = 200
const MOST_LIMITS = 1_000

export function exposeStandings(registers: Registry[], source: StandingSource, isWhole: boolean) {
  new Gauge({
    name: 'headrace_budget_used_ratio',
    help: 'Share of a budget that is used in its day or month, of keys and projects that have used half of one. At 1 they are refused.',
    labelNames: LABELS,
    registers,
    collect() {
      this.reset()
      const budgets = [...source.standings()].filter(({ isBudget }) => isBudget)
      const fullest = budgets
        .map(({ labels, used, limit }) => ({ labels, ratio: limit > 0 ? used / limit : 1 }))
        .filter(({ ratio }) => ratio >= WORTH_TELLING)
        .toSorted((a, b) => b.ratio - a.ratio)
      for (const { labels, ratio } of fullest.slice(0, MOST_BUDGETS)) this.set(labels, ratio)
    },
  })
  if (!isWhole) return
  new Gauge({
    name: 'headrace_limit_remaining',
    help: 'What is left of a limit of a key or a project, in its own unit: requests, tokens, US dollars.',
    labelNames: LABELS,
    registers,
    collect() {
      this.reset()
      let room = MOST_LIMITS
      for (const { labels, used, limit, unit } of source.standings()) {
        if (room-- <= 0) break
        this.set(labels, Math.max(0, limit - used) / unit)
      }
    },
  })
}
