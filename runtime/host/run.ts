// One request on its way through an engine: what was asked, who listens, and how far it is.
//
// Knows: the events of one request. Does not know: processes, HTTP.

import type { EngineEvent, EngineRequest } from '../engine/messages.ts'
import type { RuntimeFailure } from '../protocol.ts'

export type AnswerListener = (event: EngineEvent) => void

export class Run {
  readonly request: EngineRequest
  readonly #listener: AnswerListener
  #patience: NodeJS.Timeout | null = null
  /** engines that were given it */
  attempts = 0
  /** The engine has begun with it: from here on it can't be given to another as if nothing had been. */
  hasStarted = false

  constructor(request: EngineRequest, listener: AnswerListener) {
    this.request = request
    this.#listener = listener
  }

  /** It is in no engine's hands. */
  get isWaiting(): boolean {
    return this.#patience !== null
  }

  /** @returns whether it was the last event */
  tell(event: EngineEvent): boolean {
    if (event.type === 'started') this.hasStarted = true
    this.#listener(event)
    return event.type === 'done' || event.type === 'encoded' || event.type === 'error'
  }

  fail(failure: RuntimeFailure): void {
    this.stopWaiting()
    this.#listener({ type: 'error', error: failure })
  }

  waitAtMost(ms: number, onOver: () => void): void {
    this.#patience = setTimeout(onOver, ms)
  }

  stopWaiting(): void {
    if (this.#patience) clearTimeout(this.#patience)
    this.#patience = null
  }
}
