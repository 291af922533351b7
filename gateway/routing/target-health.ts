// How each target is doing: what it has to do now, how fast it answers, and whether it is to be asked at all.
//
// Kept by version, so that it outlives a reload of the routes; what is no longer asked is forgotten.
//
// Knows: targets' names and figures. Does not know: how one is chosen by them.

import { LRUCache } from 'lru-cache'

import { Breaker } from './breaker.ts'
import type { BreakerState } from './breaker.ts'
import type { Target } from './route.ts'

/** weight of the newest time to the first delta in the moving average */
const NEWEST_SHARE = 0.2
const MAX_TARGETS = 10_000

export class TargetHealth {
  readonly breaker: Breaker
  readonly version: string
  readonly upstream: string
  /** requests that it is answering */
  open = 0
  /** moving average, milliseconds; null before the first */
  firstDeltaMs: number | null = null

  constructor({ version, upstream }: Target, now: () => number) {
    this.version = version
    this.upstream = upstream
    this.breaker = new Breaker(now)
  }

  answered(firstDeltaMs: number) {
    const before = this.firstDeltaMs ?? firstDeltaMs
    this.firstDeltaMs = before + (firstDeltaMs - before) * NEWEST_SHARE
  }
}

export class TargetHealths {
  readonly #now: () => number
  readonly #byName = new LRUCache<string, TargetHealth>({ max: MAX_TARGETS })

  constructor(now: () => number) {
    this.#now = now
  }

  of(target: Target): TargetHealth {
    const name = `${target.upstream}\n${target.version}`
    let health = this.#byName.get(name)
    if (!health) {
      health = new TargetHealth(target, this.#now)
      this.#byName.set(name, health)
    }
    return health
  }

  /** for metrics */
  *states(): Iterable<{ version: string; upstream: string; state: BreakerState; open: number }> {
    for (const { version, upstream, breaker, open } of this.#byName.values()) {
      yield { version, upstream, state: breaker.state, open }
    }
  }
}
