// The course of one request: which target is asked next, and when, until one answers or none is left.
//
// First the route's targets, in the order of its balance: each once, and then again, with a pause that grows, until
// there were as many attempts as `retries` allows. Then the fallbacks, each once. A target whose breaker is open is
// passed over; where all are, the one that opens soonest is asked all the same: it may answer, and nobody else will.
//
// Knows: routes, verdicts on errors, time. Does not know: how a target is asked.

import { setTimeout as sleep } from 'node:timers/promises'

import { faultOf } from '../backends/upstream/fault.ts'
import { GatewayError } from '../errors.ts'
import { order } from './balance.ts'
import type { Route, Target } from './route.ts'
import type { TargetHealths } from './target-health.ts'

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 2_000
/** a target that wants to be left alone for longer is not waited for */
const MAX_ASKED_MS = 5_000

export interface CourseOptions {
  healths: TargetHealths
  stickyKey: string | null
  signal: AbortSignal
  random: () => number
}

export class Course {
  readonly #route: Route
  readonly #options: CourseOptions
  readonly #targets: Target[]
  readonly #fallbacks: Target[]
  /** the first choice, where its breaker is open and another is asked instead */
  readonly passedOver: Target | null
  /** targets that would say the same again */
  readonly #given = new Set<Target>()
  /** when each asked target may be asked again */
  readonly #againMs = new Map<Target, number>()
  #attempts = 0
  #lastError: Error | null = null

  constructor(route: Route, options: CourseOptions) {
    const { healths, stickyKey, random } = options
    this.#route = route
    this.#options = options
    const allows = (target: Target) => healths.of(target).breaker.allows
    const ordered = order(route, healths, stickyKey, random)
    this.#targets = ordered.filter(allows)
    this.#fallbacks = route.fallbacks.filter(allows)
    const [first] = ordered
    const hasOthers = this.#targets.length + this.#fallbacks.length > 0
    this.passedOver = first && hasOthers && !allows(first) ? first : null
    if (!hasOthers) {
      const retryAtMs = (target: Target) => healths.of(target).breaker.retryAtMs
      const all = [...ordered, ...route.fallbacks]
      this.#targets = all.toSorted((a, b) => retryAtMs(a) - retryAtMs(b)).slice(0, 1)
    }
  }

  /** @throws the last error, where nobody is left @throws the signal's reason */
  async next(): Promise<Target> {
    const target = await this.#nextTarget()
    if (!target) throw this.#lastError ?? nobody(this.#route)
    this.#attempts++
    return target
  }

  /** @throws the error, where no other attempt would end otherwise */
  failed(target: Target, error: unknown): void {
    if (this.#options.signal.aborted) throw error
    const { isRetryable, isPermanent, retryAfterMs } = faultOf(error)
    if (!isRetryable) throw error
    this.#lastError = moreTelling(this.#lastError, error)
    if (isPermanent || (retryAfterMs ?? 0) > MAX_ASKED_MS) this.#given.add(target)
    this.#againMs.set(target, performance.now() + Math.max(this.#pauseMs(), retryAfterMs ?? 0))
  }

  async #nextTarget(): Promise<Target | undefined> {
    const untried = this.#targets.find((target) => !this.#againMs.has(target))
    if (untried) return untried
    const again = this.#targets.filter((target) => !this.#given.has(target))
    if (again.length > 0 && this.#attempts <= this.#route.retries) {
      const atMs = (target: Target) => this.#againMs.get(target) ?? 0
      const [soonest] = again.toSorted((a, b) => atMs(a) - atMs(b))
      if (soonest) {
        const { signal } = this.#options
        const waitMs = Math.max(0, atMs(soonest) - performance.now())
        await sleep(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
        return soonest
      }
    }
    return this.#fallbacks.find((target) => !this.#againMs.has(target))
  }

  /** Full jitter: whoever failed together must not come back together. */
  #pauseMs(): number {
    const most = Math.min(FIRST_PAUSE_MS * 2 ** (this.#attempts - 1), MAX_PAUSE_MS)
    return most * this.#options.random()
  }
}

/** What a target says about the request tells its client more than that another could not be reached. */
function moreTelling(before: Error | null, now: unknown): Error {
  if (before instanceof GatewayError && before.kind.status < 429) return before
  return now instanceof Error ? now : new Error(String(now), { cause: now })
}

function nobody({ model }: Route): GatewayError {
  return new GatewayError(
    'model_not_found',
    `Nobody answers for the model '${model}' at the moment: no target of it has any weight.`,
    { param: 'model' },
  )
}
