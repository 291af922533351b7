// Asks a route's targets until one answers.
//
// Until the first delta a failure is somebody else's turn; from then on the answer is the target's, and its failure is
// the request's: what was told can't be taken back.
//
// Knows: courses, time limits, how a backend is asked. Does not know: HTTP, who calls.

import { faultOf } from '../backends/upstream/fault.ts'
import { GatewayError, internalError } from '../errors.ts'
import { Course } from './course.ts'
import { BREAKER_OPEN } from './route.ts'
import { TargetHealths } from './target-health.ts'
import { TimeLimits } from './time-limits.ts'
import type { Asking, Backend, Question } from '../backends/backend.ts'
import type { Attempt, Route, RoutedEvent, Target } from './route.ts'

export interface RouteOptions {
  signal: AbortSignal
  /** requests of one key stay on one target; null: wherever there is room */
  stickyKey: string | null
  /** a target is about to be asked; @returns headers that tell it of the request's trace */
  onAsk: (target: Target) => Record<string, string> | undefined
  /** it failed, or its first delta came */
  onAttempt: (attempt: Attempt) => void
}

export interface RouterOptions {
  /** milliseconds, monotonic */
  now?: () => number
  /** in [0, 1) */
  random?: () => number
}

export class Router {
  readonly healths: TargetHealths
  readonly #random: () => number

  constructor({ now = () => performance.now(), random = Math.random }: RouterOptions = {}) {
    this.healths = new TargetHealths(now)
    this.#random = random
  }

  async *answer(
    route: Route,
    question: Question,
    options: RouteOptions,
  ): AsyncGenerator<RoutedEvent> {
    const course = this.#course(route, options)
    for (;;) {
      const target = await course.next()
      const attempt = this.#attempt(target, options, question.isStreamed)
      try {
        const { backend, asks } = target
        for await (const event of backend.answer(question, {
          version: asks,
          signal: attempt.signal,
          headers: attempt.headers,
        })) {
          if (event.type !== 'started') {
            if (attempt.progressed()) yield { type: 'routed', target }
          }
          attempt.hold()
          yield event
          attempt.release()
        }
        attempt.ended()
        return
      } catch (error) {
        attempt.failed(error)
        if (attempt.hasBegun) throw error
        course.failed(target, error)
      } finally {
        attempt.close()
      }
    }
  }

  /**
   * For answers that come whole.
   * @param ask of a target's backend; null where that can't do it
   * @returns the answer, and the target that gave it
   */
  async askWhole<Answer>(
    route: Route,
    ask: (backend: Backend, asking: Asking) => Promise<Answer> | null,
    options: RouteOptions,
  ): Promise<{ answer: Answer; target: Target }> {
    const course = this.#course(route, options)
    for (;;) {
      const target = await course.next()
      const attempt = this.#attempt(target, options, false)
      try {
        const { backend, asks } = target
        const asked = ask(backend, {
          version: asks,
          signal: attempt.signal,
          headers: attempt.headers,
        })
        if (!asked) throw cantAnswer(route)
        const answer = await asked
        attempt.progressed()
        attempt.ended()
        return { answer, target }
      } catch (error) {
        attempt.failed(error)
        course.failed(target, error)
      } finally {
        attempt.close()
      }
    }
  }

  #course(route: Route, { stickyKey, signal, onAttempt }: RouteOptions): Course {
    const random = this.#random
    const course = new Course(route, { healths: this.healths, stickyKey, signal, random })
    // Of a version that was deployed it has to be known that it did not answer when it was its turn.
    if (course.passedOver && route.deployment !== undefined) {
      const { version, upstream } = course.passedOver
      onAttempt({ version, upstream, ms: 0, error: BREAKER_OPEN, detail: null })
    }
    return course
  }

  #attempt(target: Target, options: RouteOptions, isStreamed: boolean): Attempting {
    return new Attempting(target, this.healths, options, isStreamed)
  }
}

/** One target being asked: its time, and what becomes of it. */
class Attempting {
  readonly #target: Target
  readonly #options: RouteOptions
  readonly #health
  readonly #limits: TimeLimits
  readonly #startedMs = performance.now()
  #isDecided = false
  hasBegun = false
  readonly headers: Record<string, string> | undefined

  constructor(target: Target, healths: TargetHealths, options: RouteOptions, isStreamed: boolean) {
    this.#target = target
    this.#options = options
    this.#health = healths.of(target)
    this.#health.open++
    this.#health.breaker.asked()
    // What comes whole comes late: its first delta is its last.
    const { totalMs } = target.timeouts
    this.#limits = new TimeLimits(isStreamed ? target.timeouts : { totalMs }, options.signal)
    this.headers = options.onAsk(target)
  }

  get signal(): AbortSignal {
    return this.#limits.signal
  }

  /** @returns whether it is the first delta */
  progressed(): boolean {
    this.#limits.progressed()
    if (this.hasBegun) return false
    this.hasBegun = true
    const ms = performance.now() - this.#startedMs
    this.#health.answered(ms)
    this.#tell(ms, null, null)
    return true
  }

  /** An event goes to whoever reads the answer … */
  hold() {
    this.#limits.hold()
  }

  /** … and was read. */
  release() {
    this.#limits.release()
  }

  ended() {
    // An answer without any delta is the backend's mistake, which whoever reads it tells.
    this.#decide(() => this.#health.breaker.succeeded())
  }

  failed(error: unknown) {
    if (this.#options.signal.aborted) return
    const { countsAgainstTarget, retryAfterMs } = faultOf(error)
    this.#decide(() => {
      const { breaker } = this.#health
      if (retryAfterMs !== null && isAskedFor(error)) breaker.pause(retryAfterMs)
      else if (countsAgainstTarget) breaker.failed()
      else breaker.undecided()
    })
    if (this.hasBegun) return
    const known = error instanceof GatewayError ? error : internalError(error)
    this.#tell(performance.now() - this.#startedMs, known.code, known.detail)
  }

  close() {
    this.#limits.close()
    this.#health.open--
    // Left in the middle: its client is gone, which says nothing about it.
    this.#decide(() => this.#health.breaker.undecided())
  }

  #decide(how: () => void) {
    if (this.#isDecided) return
    this.#isDecided = true
    how()
  }

  #tell(ms: number, error: string | null, detail: string | null) {
    const { version, upstream } = this.#target
    this.#options.onAttempt({ version, upstream, ms, error, detail })
  }
}

/** The target itself said that it has too much to do, and until when. */
function isAskedFor(error: unknown): boolean {
  return (
    error instanceof GatewayError &&
    (error.code === 'upstream_rate_limited' || error.code === 'upstream_overloaded')
  )
}

function cantAnswer({ model }: Route): GatewayError {
  return new GatewayError(
    'unsupported_model',
    `The model '${model}' has no answers of this kind: it makes texts.`,
    { param: 'model' },
  )
}
