// Counters of this process: exact where there is one replica, and the image of its own traffic where there are several,
// by which it goes on when the others can't be asked.
//
// A budget is what others and former processes spent (`base`), what was settled here since (`own`), and what requests
// that still run have reserved. The base is read from the table when a budget is first met and raised to it ever after,
// so that a restart forgets nothing.
//
// Knows: claims, a clock. Does not know: callers, Redis, SQL.

import { HELD_RETRY_MS, RECONCILE_MS, worse } from './counters.ts'
import { SlidingWindow } from './sliding-window.ts'
import type { BudgetClaim, Claim, WindowClaim } from './claim.ts'
import type { Counters, Hold, ReadSpent, Refusal, Standing, Taken } from './counters.ts'

interface Budget {
  claim: BudgetClaim
  base: number
  own: number
  reserved: number
}

export interface MemoryCountersOptions {
  /** milliseconds since 1970, monotonic */
  now: () => number
  readSpent: ReadSpent
  /** told what was found written down */
  onReconciled?: (spent: Spent[]) => void
}

export interface Spent {
  claim: BudgetClaim
  spent: number
}

const SWEEP_MS = 60_000

export class MemoryCounters implements Counters {
  readonly replicas = 1
  readonly isDegraded = false
  readonly #options: MemoryCountersOptions
  readonly #windows = new Map<string, SlidingWindow>()
  readonly #held = new Map<string, number>()
  readonly #budgets = new Map<string, Budget>()
  readonly #timer: NodeJS.Timeout
  #sweptMs: number

  constructor(options: MemoryCountersOptions) {
    this.#options = options
    this.#sweptMs = options.now()
    this.#timer = setInterval(() => void this.reconcile(), RECONCILE_MS).unref()
  }

  async take(claims: Claim[]): Promise<Taken> {
    const unknown = claims.filter(isBudget).filter(({ key }) => !this.#budgets.has(key))
    if (unknown.length > 0) {
      const spent = await this.#options.readSpent(unknown)
      unknown.forEach((claim, index) => this.#budgetOf(claim, spent?.[index]))
    }
    return this.takeShare(claims, 1)
  }

  /** @param share of every limit that is this process's */
  takeShare(claims: Claim[], share: number): Taken {
    const refusal = this.refusalOf(claims, share)
    const hold = refusal ? null : this.count(claims)
    return { standings: this.standingsOf(claims), refusal, hold }
  }

  standingsOf(claims: Claim[]): Standing[] {
    return claims.map((claim) => this.#standingOf(claim))
  }

  /** @param only claims of this kind are asked */
  refusalOf(claims: Claim[], share: number, only?: Claim['kind']): Refusal | null {
    this.#sweep()
    let refusal: Refusal | null = null
    claims.forEach((claim, index) => {
      if (only !== undefined && claim.kind !== only) return
      const retryMs = this.#waitFor(claim, share)
      if (retryMs !== 0) refusal = worse(refusal, { claim: index, retryMs })
    })
    return refusal
  }

  /** Counts what somebody else has admitted. */
  count(claims: Claim[]): Hold {
    const now = this.#options.now()
    const slots = claims.map((claim) => {
      switch (claim.kind) {
        case 'window':
          return this.#windowOf(claim).add(claim.amount, now)
        case 'held':
          this.#held.set(claim.key, (this.#held.get(claim.key) ?? 0) + claim.amount)
          return 0
        case 'budget':
          this.#budgetOf(claim).reserved += claim.amount
          return 0
      }
    })
    let isSettled = false
    return {
      settle: (actuals) => {
        if (!isSettled) this.#settle(claims, slots, actuals)
        isSettled = true
      },
    }
  }

  /** Somebody who knows everybody's traffic says what a budget stands at, all reservations included. */
  learn(claim: BudgetClaim, used: number): void {
    const budget = this.#budgetOf(claim)
    budget.base = used - budget.reserved
    budget.own = 0
  }

  /** budgets whose period is not over */
  get budgets(): BudgetClaim[] {
    this.#sweep(true)
    return [...this.#budgets.values()].map(({ claim }) => claim)
  }

  /** Raises what was counted to what was written down. @returns the latter; null where it can't be read */
  async reconcile(): Promise<Spent[] | null> {
    const { budgets } = this
    const totals = budgets.length > 0 ? await this.#options.readSpent(budgets) : []
    if (!totals) return null
    const spent = budgets.map((claim, index) => this.#raise(claim, totals[index] ?? 0))
    this.#options.onReconciled?.(spent)
    return spent
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    return Promise.resolve()
  }

  #raise(claim: BudgetClaim, spent: number): Spent {
    const budget = this.#budgetOf(claim)
    budget.base = Math.max(budget.base, spent - budget.own)
    return { claim, spent }
  }

  /** @returns milliseconds; 0: it passes, null: it never will */
  #waitFor(claim: Claim, share: number): number | null {
    const { limit, amount } = claim
    if (amount > limit) return null
    const now = this.#options.now()
    switch (claim.kind) {
      case 'window': {
        const window = this.#windowOf(claim)
        const over = window.used(now) + amount - limit * share
        // A share may be less than one request needs; one at a time is let through.
        if (over <= 0 || window.used(now) === 0) return 0
        return window.waitFor(over, now) ?? window.resetMs(now)
      }
      case 'held': {
        const held = this.#held.get(claim.key) ?? 0
        return held === 0 || held + amount <= limit * share ? 0 : HELD_RETRY_MS
      }
      case 'budget': {
        const { base, own, reserved } = this.#budgetOf(claim)
        return own + reserved + amount <= (limit - base) * share ? 0 : untilEnd(claim, now)
      }
    }
  }

  #standingOf(claim: Claim): Standing {
    const now = this.#options.now()
    switch (claim.kind) {
      case 'window': {
        const window = this.#windowOf(claim)
        return { used: window.used(now), resetMs: window.resetMs(now) }
      }
      case 'held':
        return { used: this.#held.get(claim.key) ?? 0, resetMs: 0 }
      case 'budget': {
        const { base, own, reserved } = this.#budgetOf(claim)
        return { used: base + own + reserved, resetMs: untilEnd(claim, now) }
      }
    }
  }

  #settle(claims: Claim[], slots: number[], actuals: number[]): void {
    claims.forEach((claim, index) => {
      const actual = actuals[index] ?? 0
      switch (claim.kind) {
        case 'window': {
          const window = this.#windows.get(claim.key)
          return window?.correct(slots[index] ?? 0, actual - claim.amount)
        }
        case 'held': {
          const left = (this.#held.get(claim.key) ?? 0) - claim.amount
          return left > 0 ? this.#held.set(claim.key, left) : this.#held.delete(claim.key)
        }
        case 'budget': {
          const budget = this.#budgetOf(claim)
          budget.reserved -= claim.amount
          budget.own += actual
        }
      }
    })
  }

  #windowOf({ key, windowMs }: WindowClaim): SlidingWindow {
    let window = this.#windows.get(key)
    if (!window) this.#windows.set(key, (window = new SlidingWindow(windowMs)))
    return window
  }

  #budgetOf(claim: BudgetClaim, base = 0): Budget {
    let budget = this.#budgets.get(claim.key)
    if (!budget) this.#budgets.set(claim.key, (budget = { claim, base, own: 0, reserved: 0 }))
    return budget
  }

  /** Forgets windows in which nothing is, and budgets whose period is over and that nobody holds. */
  #sweep(isDue = false): void {
    const now = this.#options.now()
    if (!isDue && now - this.#sweptMs < SWEEP_MS) return
    this.#sweptMs = now
    for (const [key, window] of this.#windows) if (window.used(now) === 0) this.#windows.delete(key)
    for (const [key, { claim, reserved }] of this.#budgets) {
      if (claim.toMs <= now && reserved === 0) this.#budgets.delete(key)
    }
  }
}

function isBudget(claim: Claim): claim is BudgetClaim {
  return claim.kind === 'budget'
}

function untilEnd({ toMs }: BudgetClaim, nowMs: number): number {
  return Math.max(1, toMs - nowMs)
}
