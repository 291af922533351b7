// One request on its way through an engine: what was asked, who listens, and what it has used so far.
//
// Knows: the events of one request. Does not know: processes, HTTP.

import type { GenerateEvent, GenerateRequest, RuntimeFailure, Usage } from '../protocol.ts'

export type GenerateListener = (event: GenerateEvent) => void

export class Run {
  readonly request: GenerateRequest
  readonly #listener: GenerateListener
  #usage: Usage | null = null
  #patience: NodeJS.Timeout | null = null
  /** engines that were given it */
  attempts = 0

  constructor(request: GenerateRequest, listener: GenerateListener) {
    this.request = request
    this.#listener = listener
  }

  /** The engine has begun with it: from here on it can't be given to another as if nothing had been. */
  get hasStarted(): boolean {
    return this.#usage !== null
  }

  /** It is in no engine's hands. */
  get isWaiting(): boolean {
    return this.#patience !== null
  }

  /** @returns whether it was the last event */
  tell(event: GenerateEvent): boolean {
    if (event.type === 'started') {
      const { promptTokens, cachedTokens } = event
      this.#usage = { promptTokens, cachedTokens, completionTokens: 0 }
    } else if (event.type === 'delta') {
      if (this.#usage) this.#usage.completionTokens += event.tokens
    }
    this.#listener(event)
    return event.type === 'done' || event.type === 'error'
  }

  fail(failure: RuntimeFailure): void {
    this.stopWaiting()
    const error = this.#usage ? { ...failure, usage: this.#usage } : failure
    this.#listener({ type: 'error', error })
  }

  waitAtMost(ms: number, onOver: () => void): void {
    this.#patience = setTimeout(onOver, ms)
  }

  stopWaiting(): void {
    if (this.#patience) clearTimeout(this.#patience)
    this.#patience = null
  }
}
