// Where callers stand in their limits: what the counters said when they were last asked.
//
// Nobody is asked for it: every admitted or refused request tells. What has run out, a minute's window or a day's budget, is
// forgotten.
//
// Knows: claims and standings. Does not know: metrics, counters.

import { LRUCache } from 'lru-cache'

import { NANO_DOLLARS } from './price.ts'
import type { Claim } from './claim.ts'
import type { Standing } from './counters.ts'

export interface LimitStanding {
  labels: { owner: string; name: string; limit: string }
  isBudget: boolean
  used: number
  limit: number
  /** what `used` and `limit` are to be divided by: 1, or billionths of a dollar */
  unit: number
}

interface Kept extends LimitStanding {
  /** nothing of it is known any more from then on */
  endsMs: number
}

/** of the callers that were seen last; three limits each, a few hundred bytes a limit */
const MOST_STANDINGS = 3_000

export class Standings {
  readonly #now: () => number
  readonly #kept = new LRUCache<string, Kept>({ max: MOST_STANDINGS })

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now
  }

  told(claims: readonly Claim[], standings: readonly Standing[]) {
    for (const [index, claim] of claims.entries()) {
      const standing = standings[index]
      if (!standing) continue
      const { owner, ownerId, ownerName, limitName, limit } = claim
      const isBudget = claim.kind === 'budget'
      this.#kept.set(`${owner}:${ownerId}:${limitName}`, {
        labels: { owner, name: ownerName, limit: limitName },
        isBudget,
        used: standing.used,
        limit,
        unit: isBudget && claim.unit === 'usd' ? NANO_DOLLARS : 1,
        endsMs: isBudget ? claim.toMs : this.#now() + standing.resetMs,
      })
    }
  }

  /** the newest first */
  *[Symbol.iterator](): Generator<LimitStanding> {
    const now = this.#now()
    for (const standing of this.#kept.values()) {
      if (standing.endsMs > now) yield standing
    }
  }
}
