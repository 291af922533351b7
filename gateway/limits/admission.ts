// How many requests the gateway has in hand at once: one more is refused at once, rather than waiting in a line that
// only grows. A body that is still on its way holds a place, and no limit of its caller's counts it yet: who sends many and
// ends none would keep everybody else out, so that one caller's have a share only.
//
// Knows: numbers, ids of callers. Does not know: limits, models.

import { GatewayError } from '../errors.ts'

/** of the places, for one caller's bodies on their way; whoever sends them whole needs a place for a moment only */
const ARRIVING_SHARE = 0.5

export class Admission {
  readonly #max: number
  readonly #arriving = new Map<string, number>()
  #inHand = 0
  #refused = 0

  constructor(max: number) {
    this.#max = max
  }

  get inHand(): number {
    return this.#inHand
  }

  /** since the start */
  get refused(): number {
    return this.#refused
  }

  /**
   * @returns to be called when the request has ended; further calls do nothing
   * @throws GatewayError `overloaded`
   */
  enter(): () => void {
    if (this.#inHand >= this.#max) {
      this.#refused++
      throw new GatewayError(
        'overloaded',
        `The gateway has ${this.#max} requests in hand, as many as it takes. Try again shortly.`,
      )
    }
    this.#inHand++
    return once(() => this.#inHand--)
  }

  /**
   * @returns to be called when the body is there, or never will be; further calls do nothing
   * @throws GatewayError `overloaded`
   */
  awaitBody(callerId: string): () => void {
    const arriving = this.#arriving.get(callerId) ?? 0
    const most = Math.max(1, Math.floor(this.#max * ARRIVING_SHARE))
    if (arriving >= most) {
      this.#refused++
      throw new GatewayError(
        'overloaded',
        `${most} requests of this caller are on their way here and not whole yet, as many as one may have. Try again shortly.`,
      )
    }
    this.#arriving.set(callerId, arriving + 1)
    return once(() => {
      const left = (this.#arriving.get(callerId) ?? 0) - 1
      if (left > 0) this.#arriving.set(callerId, left)
      else this.#arriving.delete(callerId)
    })
  }
}

function once(what: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) what()
    isDone = true
  }
}
