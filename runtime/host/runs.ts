// The requests that one engine has or will be given.
//
// Knows: which of them wait, and what a lost process means for each. Does not know: processes, why one was lost.

import { Run } from './run.ts'
import type { EngineEvent, EngineRequest } from '../engine/messages.ts'
import type { RuntimeFailure } from '../protocol.ts'
import type { AnswerListener } from './run.ts'

// A restart takes seconds; a request that has waited this long is better answered than kept.
const PATIENCE_MS = 30_000
// A request whose engine ended before it was begun is probably innocent. One that this happens to twice may not be.
const MAX_ATTEMPTS = 2

export class Runs {
  readonly #runs = new Map<string, Run>()
  readonly #give: (request: EngineRequest) => void

  /** @param give hands a request to the process */
  constructor(give: (request: EngineRequest) => void) {
    this.#give = give
  }

  get size(): number {
    return this.#runs.size
  }

  has(id: string): boolean {
    return this.#runs.has(id)
  }

  /** @param isReady give it now; else it waits until `giveAll`, for a time */
  add(request: EngineRequest, listener: AnswerListener, isReady: boolean): Run {
    const run = new Run(request, listener)
    this.#runs.set(request.id, run)
    if (isReady) this.#hand(run)
    else this.#hold(run)
    return run
  }

  /** @returns whether it was there: its id may be another's by now */
  remove(run: Run): boolean {
    const { id } = run.request
    if (this.#runs.get(id) !== run) return false
    run.stopWaiting()
    return this.#runs.delete(id)
  }

  /** All requests' events of one step. Each answer is written after this loop, in one piece. */
  deliver(events: [id: string, event: EngineEvent][]): void {
    for (const [id, event] of events) {
      const run = this.#runs.get(id)
      // A cancelled request's last events may have been on their way.
      if (run?.tell(event)) this.#runs.delete(id)
    }
  }

  giveAll(): void {
    for (const run of this.#runs.values()) this.#hand(run)
  }

  /** The process is gone: what it had begun fails, what it had not begun waits for the next. */
  lose(failure: RuntimeFailure): void {
    for (const run of this.#runs.values()) {
      if (run.isWaiting) continue
      if (run.hasStarted || run.attempts >= MAX_ATTEMPTS) {
        this.#runs.delete(run.request.id)
        run.fail(failure)
      } else {
        this.#hold(run)
      }
    }
  }

  failAll(failure: RuntimeFailure): void {
    for (const run of this.#runs.values()) run.fail(failure)
    this.#runs.clear()
  }

  #hand(run: Run): void {
    run.stopWaiting()
    run.attempts++
    this.#give(run.request)
  }

  #hold(run: Run): void {
    run.waitAtMost(PATIENCE_MS, () => {
      this.#runs.delete(run.request.id)
      const message = `The engine ended, and was not back within ${PATIENCE_MS / 1000} s.`
      run.fail({ code: 'engine_lost', message })
    })
  }
}
