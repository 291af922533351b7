// The contract of whatever counts: this process alone, or Redis for several.

import type { BudgetClaim, Claim } from './claim.ts'

export interface Counters {
  /** All of the claims, or none of them. */
  take(claims: Claim[]): Promise<Taken>
  /** replicas that share the limits, this one included */
  readonly replicas: number
  /** each replica keeps to its share, because what the others do can't be known */
  readonly isDegraded: boolean
  close(): Promise<void>
}

export interface Taken {
  /** of each claim, in order; with what was taken in it */
  standings: Standing[]
  refusal: Refusal | null
  /** null where it was refused */
  hold: Hold | null
}

export interface Standing {
  used: number
  /** until nothing is used any more */
  resetMs: number
}

export interface Refusal {
  /** index of the claim that stands in the way the longest */
  claim: number
  /** until it would pass; null where it never will */
  retryMs: number | null
}

export interface Hold {
  /** @param actuals what each claim is charged with in the end; once, never throws */
  settle(actuals: number[]): void
}

/** @returns what was spent of each budget so far, as far as it was written down; null where nobody can say */
export type ReadSpent = (budgets: BudgetClaim[]) => Promise<number[] | null>

/** for the next of those who run to end; nobody knows when that is */
export const HELD_RETRY_MS = 1_000
/** how often what was counted is compared with what was written down */
export const RECONCILE_MS = 60_000

/** The one that has to be waited for the longest decides; there is no use in coming back before. */
export function worse(refusal: Refusal | null, next: Refusal): Refusal {
  if (!refusal || next.retryMs === null) return refusal?.retryMs === null ? refusal : next
  return refusal.retryMs === null || refusal.retryMs >= next.retryMs ? refusal : next
}
