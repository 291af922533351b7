// Limits and budgets of callers: reserved on the way in, settled with what was really used.
//
// admit() asks all limits of the key and of its project at once. What a request may need at most is reserved, so that
// requests which run at the same time can't spend the same tokens twice; when it ends, the reservation is replaced by
// the real figures.
//
// Knows: callers, claims. Does not know: HTTP, Redis, SQL.

import { actualOf, claimsOf } from './claim.ts'
import { Standings } from './standings.ts'
import { rateHeaders, refuse } from './words.ts'
import type { Claim, Need } from './claim.ts'
import type { Counters, Hold } from './counters.ts'
import type { LimitStanding } from './standings.ts'
import type { RateHeaders } from './words.ts'
import type { Caller, Limits as CallerLimits } from '../callers/caller.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Logger } from '../logger.ts'

export interface LimitsOptions {
  counters: Counters
  logger: Logger
  /** milliseconds since 1970, monotonic */
  now: () => number
}

/** What settle() needs of an exchange's record; tokens are null where nothing was begun. */
export type Used = Pick<ExchangeRecord, 'promptTokens' | 'completionTokens'>

export interface Reservation {
  /** x-ratelimit-*, as OpenAI sends them; none for whoever has no such limit */
  readonly headers: RateHeaders
  /** Replaces what was reserved by what was used. The first call counts, and none throws. */
  settle(used: Used, costUsd: number): void
  /** Gives back what was reserved: nothing was begun. The request itself was one all the same. Never throws. */
  release(): void
}

export class Limits {
  readonly #options: LimitsOptions
  readonly #refused = new Map<keyof CallerLimits, number>()
  readonly #standings: Standings

  constructor(options: LimitsOptions) {
    this.#options = options
    this.#standings = new Standings(options.now)
  }

  /** requests that were refused since the start, by the limit that stood in their way */
  get refused(): ReadonlyMap<keyof CallerLimits, number> {
    return this.#refused
  }

  /** where callers that were seen lately stand, the newest first */
  standings(): Iterable<LimitStanding> {
    return this.#standings
  }

  get isDegraded(): boolean {
    return this.#options.counters.isDegraded
  }

  get replicas(): number {
    return this.#options.counters.replicas
  }

  /** What was settled before is told to the others; what still runs is no longer theirs to wait for. */
  close(): Promise<void> {
    return this.#options.counters.close()
  }

  /**
   * @param cameMs when the request came, milliseconds since 1970: the day that its row counts in pays for it
   * @throws GatewayError `rate_limit_exceeded` or `insufficient_quota`
   */
  async admit(caller: Caller, need: Need, cameMs = this.#options.now()): Promise<Reservation> {
    const claims = claimsOf(caller, need, cameMs)
    if (claims.length === 0) return this.#reserve(claims, null, {})
    const { standings, refusal, hold } = await this.#options.counters.take(claims)
    this.#standings.told(claims, standings)
    if (refusal) {
      const name = claims[refusal.claim]?.limitName
      if (name) this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1)
      throw refuse(claims, standings, refusal, need.model)
    }
    return this.#reserve(claims, hold, rateHeaders(claims, standings))
  }

  #reserve(claims: Claim[], hold: Hold | null, headers: RateHeaders): Reservation {
    let isOver = false
    const end = (tokens: number, costUsd: number) => {
      if (isOver) return
      isOver = true
      try {
        hold?.settle(claims.map((claim) => actualOf(claim, tokens, costUsd)))
      } catch (error) {
        // This is called where a socket closes, and nobody is there to catch it.
        this.#options.logger.error({ err: error }, 'a reservation could not be settled')
      }
    }
    return {
      headers,
      settle: (used, costUsd) => {
        const tokens = (used.promptTokens ?? 0) + (used.completionTokens ?? 0)
        end(tokens, costUsd)
      },
      release: () => end(0, 0),
    }
  }
}
